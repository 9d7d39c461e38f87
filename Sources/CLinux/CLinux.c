// Time, readiness and sockets. See CLinux.h; files and processes are in CLinuxProcess.c.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h; both headers clash with netinet/in.h.
#define SO_ORIGINAL_DST_V4 80
#define SO_ORIGINAL_DST_V6 80

static int64_t clock_nanoseconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clinux_monotonic(void) { return clock_nanoseconds(CLOCK_MONOTONIC); }
int64_t clinux_wall(void) { return clock_nanoseconds(CLOCK_REALTIME); }

int clinux_random(void *bytes, size_t count) {
    uint8_t *p = bytes;
    while (count > 0) {
        ssize_t n = getrandom(p, count, 0);
        if (n < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        p += n;
        count -= (size_t)n;
    }
    return 0;
}

const char *clinux_environment(size_t index) {
    for (size_t i = 0; environ != NULL && environ[i] != NULL; i++)
        if (i == index) return environ[i];
    return NULL;
}

int clinux_process_id(void) { return (int)getpid(); }
int clinux_thread_id(void) { return (int)syscall(SYS_gettid); }
int clinux_user_id(void) { return (int)geteuid(); }

int clinux_epoll_create(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int clinux_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0; }

int clinux_epoll_wait(int epoll, struct clinux_event *events, int events_max, int64_t timeout) {
    struct epoll_event raw[CLINUX_EVENTS_MAX];
    if (events_max > CLINUX_EVENTS_MAX) events_max = CLINUX_EVENTS_MAX;
    int n = -1;
    errno = ENOSYS;
#ifdef SYS_epoll_pwait2
    if (timeout > 0) {
        // The kernel's own timespec has 64-bit seconds on every architecture.
        struct { int64_t seconds, nanoseconds; } t = {timeout / 1000000000, timeout % 1000000000};
        n = (int)syscall(SYS_epoll_pwait2, epoll, raw, events_max, &t, NULL, (size_t)8);
    }
#endif
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        int64_t ms = timeout <= 0 ? timeout : (timeout + 999999) / 1000000;
        n = epoll_wait(epoll, raw, events_max, ms < 0 ? -1 : ms > INT_MAX ? INT_MAX : (int)ms);
    }
    if (n < 0) return -errno;
    for (int i = 0; i < n; i++) {
        events[i].data = raw[i].data.u64;
        events[i].events = raw[i].events;
    }
    return n;
}

int clinux_eventfd(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int clinux_eventfd_raise(int fd) {
    uint64_t one = 1;
    return write(fd, &one, 8) < 0 ? -errno : 0;
}

int clinux_eventfd_lower(int fd) {
    uint64_t count;
    return read(fd, &count, 8) < 0 ? -errno : 0;
}

static void stop_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void clinux_ignore_pipe_signal(void) { signal(SIGPIPE, SIG_IGN); }

int clinux_signals_open(void) {
    sigset_t set;
    stop_signals(&set);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0) return -error;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void clinux_signals_unblock(void) {
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int clinux_signals_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof info);
    if (n < 0) return -errno;
    return n == sizeof info ? (int)info.ssi_signo : -EAGAIN;
}

// To the calling thread, so that a blocked signal stays pending where its signalfd is read.
int clinux_raise(int number) { return -pthread_kill(pthread_self(), number); }

static socklen_t to_kernel(const struct clinux_address *a, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (a->is_v6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(a->port);
        for (int i = 0; i < 8; i++) {
            v6->sin6_addr.s6_addr[i] = (uint8_t)(a->high >> (56 - 8 * i));
            v6->sin6_addr.s6_addr[8 + i] = (uint8_t)(a->low >> (56 - 8 * i));
        }
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(a->port);
    v4->sin_addr.s_addr = htonl((uint32_t)a->low);
    return sizeof *v4;
}

static void from_kernel(const struct sockaddr_storage *in, struct clinux_address *a) {
    memset(a, 0, sizeof *a);
    if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;
        a->is_v6 = 1;
        a->port = ntohs(v6->sin6_port);
        for (int i = 0; i < 8; i++) {
            a->high = a->high << 8 | v6->sin6_addr.s6_addr[i];
            a->low = a->low << 8 | v6->sin6_addr.s6_addr[8 + i];
        }
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)in;
        a->port = ntohs(v4->sin_port);
        a->low = ntohl(v4->sin_addr.s_addr);
    }
}

static int set_option(int fd, int level, int option, int value) { return setsockopt(fd, level, option, &value, sizeof value); }

// Accepted sockets inherit all of these from their listener, which saves their calls per connection.
static int set_stream_options(int fd, const struct clinux_stream_options *options) {
    if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0) return -errno;
    if (set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) < 0) return -errno;
    if (options->keep_alive_seconds > 0 && set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keep_alive_seconds) < 0) return -errno;
    if (options->user_timeout_milliseconds > 0 && set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout_milliseconds) < 0) return -errno;
    return 0;
}

static int new_socket(int is_v6, int type) {
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int close_with(int fd, int result) {
    close(fd);
    return result;
}

int clinux_listen(const struct clinux_address *address, int backlog, const struct clinux_stream_options *options) {
    int fd = new_socket(address->is_v6, SOCK_STREAM);
    if (fd < 0) return fd;
    struct sockaddr_storage storage;
    socklen_t length = to_kernel(address, &storage);
    if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0) return close_with(fd, -errno);
    // [::] also takes IPv4, whatever the system's default.
    if (address->is_v6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) < 0) return close_with(fd, -errno);
    int error = set_stream_options(fd, options);
    if (error < 0) return close_with(fd, error);
    if (bind(fd, (struct sockaddr *)&storage, length) < 0) return close_with(fd, -errno);
    if (listen(fd, backlog) < 0) return close_with(fd, -errno);
    return fd;
}

int clinux_accept(int fd, struct clinux_address *peer) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    int accepted = accept4(fd, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted < 0) return -errno;
    from_kernel(&storage, peer);
    return accepted;
}

int clinux_stream_socket(int is_v6, const struct clinux_stream_options *options) {
    int fd = new_socket(is_v6, SOCK_STREAM);
    if (fd < 0) return fd;
    int error = set_stream_options(fd, options);
    return error < 0 ? close_with(fd, error) : fd;
}

int clinux_connect(int fd, const struct clinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = to_kernel(address, &storage);
    return connect(fd, (struct sockaddr *)&storage, length) < 0 ? -errno : 0;
}

int clinux_datagram_socket(const struct clinux_address *address) {
    int fd = new_socket(address->is_v6, SOCK_DGRAM);
    if (fd < 0) return fd;
    struct sockaddr_storage storage;
    socklen_t length = to_kernel(address, &storage);
    if (address->is_v6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) < 0) return close_with(fd, -errno);
    return bind(fd, (struct sockaddr *)&storage, length) < 0 ? close_with(fd, -errno) : fd;
}

int clinux_local_address(int fd, struct clinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0) return -errno;
    from_kernel(&storage, address);
    return 0;
}

int clinux_remote_address(int fd, struct clinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &length) < 0) return -errno;
    from_kernel(&storage, address);
    return 0;
}

int clinux_original_destination(int fd, int peer_is_v4, struct clinux_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = peer_is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    memset(&storage, 0, sizeof storage);
    int result = peer_is_v4 ? getsockopt(fd, SOL_IP, SO_ORIGINAL_DST_V4, &storage, &length) : getsockopt(fd, IPPROTO_IPV6, SO_ORIGINAL_DST_V6, &storage, &length);
    if (result < 0) return -errno;
    from_kernel(&storage, address);
    return 0;
}

int clinux_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

long clinux_receive(int fd, void *bytes, size_t count) {
    ssize_t n;
    do n = recv(fd, bytes, count, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

long clinux_discard(int fd, size_t count) {
    ssize_t n;
    do n = recv(fd, NULL, count, MSG_TRUNC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

long clinux_send(int fd, const void *bytes, size_t count) {
    ssize_t n;
    do n = send(fd, bytes, count, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

long clinux_receive_from(int fd, void *bytes, size_t count, struct clinux_address *peer) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    ssize_t n;
    do n = recvfrom(fd, bytes, count, 0, (struct sockaddr *)&storage, &length);
    while (n < 0 && errno == EINTR);
    if (n < 0) return -errno;
    from_kernel(&storage, peer);
    return n;
}

long clinux_send_to(int fd, const void *bytes, size_t count, const struct clinux_address *peer) {
    struct sockaddr_storage storage;
    socklen_t length = to_kernel(peer, &storage);
    ssize_t n;
    do n = sendto(fd, bytes, count, MSG_NOSIGNAL, (struct sockaddr *)&storage, length);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int clinux_shutdown_write(int fd) { return shutdown(fd, SHUT_WR) < 0 ? -errno : 0; }

int clinux_linger_zero(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0 ? -errno : 0;
}

// Not repeated on EINTR: on Linux the descriptor is gone either way.
int clinux_close(int fd) { return close(fd) < 0 ? -errno : 0; }
