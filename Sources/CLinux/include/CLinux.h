// The system calls that Swift cannot spell: glibc's module map lacks epoll, accept4, signalfd, eventfd, setns and the
// netfilter options. Every function returns its result or -errno, so that no caller reads the errno variable. No state is kept.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

// An IP address and port, words in host byte order: IPv4 in the low 32 bits of `low`.
struct clinux_address {
    uint64_t high;
    uint64_t low;
    uint16_t port;
    uint8_t is_v6;
};

// One readiness report. `data` is what the descriptor was registered with.
struct clinux_event {
    uint64_t data;
    uint32_t events;
};

#define CLINUX_IN 0x001u
#define CLINUX_OUT 0x004u
#define CLINUX_ERR 0x008u
#define CLINUX_HUP 0x010u
#define CLINUX_RDHUP 0x2000u
#define CLINUX_EDGE 0x80000000u
#define CLINUX_EVENTS_MAX 256

// Options of a stream socket. Times of 0 or less are left to the kernel.
struct clinux_stream_options {
    int32_t keep_alive_seconds;
    int32_t user_timeout_milliseconds;
};

// Time, chance, environment.
int64_t clinux_monotonic(void);
int64_t clinux_wall(void);
int clinux_random(void *bytes, size_t count);
const char *clinux_environment(size_t index);
int clinux_process_id(void);
int clinux_thread_id(void);
int clinux_user_id(void);
// Drops the pages of code and constants, the libraries' too, from this process's memory. They stay in the kernel's page cache, and
// what is used again is mapped again. Data that was relocated or written is in other segments and stays.
void clinux_forget_code(void);

// Readiness.
int clinux_epoll_create(void);
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);
int clinux_epoll_remove(int epoll, int fd);
// `timeout` in nanoseconds, negative for ever. Rounded up to milliseconds on kernels before 5.11.
int clinux_epoll_wait(int epoll, struct clinux_event *events, int events_max, int64_t timeout);
int clinux_eventfd(void);
int clinux_eventfd_raise(int fd);
int clinux_eventfd_lower(int fd);
// Blocks SIGTERM and SIGINT in the calling thread, ignores SIGPIPE, and returns a descriptor that reads the two.
int clinux_signals_open(void);
// The next signal's number, or -EAGAIN.
int clinux_signals_read(int fd);
void clinux_ignore_pipe_signal(void);
// Takes SIGTERM and SIGINT out of the calling thread's mask again.
void clinux_signals_unblock(void);
int clinux_raise(int signal);

// Streams and datagrams. All sockets are non-blocking and close-on-exec.
int clinux_listen(const struct clinux_address *address, int backlog, const struct clinux_stream_options *options);
int clinux_accept(int fd, struct clinux_address *peer);
int clinux_stream_socket(int is_v6, const struct clinux_stream_options *options);
int clinux_connect(int fd, const struct clinux_address *address);
int clinux_datagram_socket(const struct clinux_address *address);
int clinux_local_address(int fd, struct clinux_address *address);
int clinux_remote_address(int fd, struct clinux_address *address);
// The destination before REDIRECT; IPv4 (also mapped) and IPv6.
int clinux_original_destination(int fd, int peer_is_v4, struct clinux_address *address);
int clinux_socket_error(int fd);
long clinux_receive(int fd, void *bytes, size_t count);
// Takes up to `count` received bytes and throws them away without copying.
long clinux_discard(int fd, size_t count);
long clinux_send(int fd, const void *bytes, size_t count);
long clinux_receive_from(int fd, void *bytes, size_t count, struct clinux_address *peer);
long clinux_send_to(int fd, const void *bytes, size_t count, const struct clinux_address *peer);
int clinux_shutdown_write(int fd);
// The next close sends RST and drops what is unsent.
int clinux_linger_zero(int fd);
int clinux_close(int fd);

// Files.
int clinux_open_reserve(void);
int clinux_open_read(const char *path);
int clinux_open_append(const char *path);
// A descriptor that becomes readable when something in the directory changes (inotify).
int clinux_watch_directory(const char *path);
int clinux_create_new(const char *path, uint32_t mode);
int64_t clinux_file_size(int fd);
long clinux_read(int fd, void *bytes, size_t count);
long clinux_write(int fd, const void *bytes, size_t count);
int clinux_set_mode(int fd, uint32_t mode);
int clinux_sync(int fd);
int clinux_rename(const char *from, const char *to);
int clinux_unlink(const char *path);
int clinux_make_directory(const char *path, uint32_t mode);
int clinux_is_executable(const char *path);
int clinux_pipe(int ends[2]);
// A file without a name, in memory, for what a child writes.
int clinux_memory_file(void);
long clinux_read_at(int fd, void *bytes, size_t count, int64_t offset);
// Writes to an existing file in place, as sysctl files want it.
int clinux_open_write(const char *path);
int clinux_set_nonblocking(int fd);
// Every name in a directory, handed to `each`; a negative result of `each` stops.
int clinux_list(const char *path, int (*each)(void *context, const char *name), void *context);
// Takes the exclusive lock of an open file without waiting.
int clinux_lock(int fd);
int64_t clinux_descriptor_limit(void);
int clinux_set_descriptor_limit(int64_t soft);

// Child processes. Strings and vectors live until the call returns.
struct clinux_spawn_request {
    const char *path;
    const char *const *arguments;
    const char *const *environment;
    const char *network_namespace; // path to enter before exec, or NULL
    const char *const *binds;      // pairs of paths, NULL at the end: the first is seen at the second, in a mount namespace of its own
    int32_t user;                  // -1: unchanged
    int32_t group;                 // -1: unchanged
    int32_t input;                 // descriptors for 0, 1 and 2; -1: /dev/null
    int32_t output;
    int32_t error;
    uint8_t dies_with_parent; // SIGKILL when the spawning thread ends
    uint8_t own_group;        // a process group of its own, so that a terminal's SIGINT reaches the parent only
};
// The child's pid once it has become `path`, or -errno of the step that failed (`step` names it).
int clinux_spawn(const struct clinux_spawn_request *request, const char **step);
// 0: still running. 1: ended, with exit status, or 128 + signal, in `status`.
int clinux_reap(int pid, int wait, int *status);
int clinux_signal(int pid, int signal);
// A descriptor that becomes readable when the process ends.
int clinux_process_descriptor(int pid);
// Becomes a member of the namespace at `path` with the calling thread only.
int clinux_enter_network_namespace(const char *path);

#endif
