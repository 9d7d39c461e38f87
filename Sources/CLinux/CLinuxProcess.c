// Files, directories and child processes. See CLinux.h.
#define _GNU_SOURCE
#include "CLinux.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int result(int value) { return value < 0 ? -errno : value; }

int clinux_open_reserve(void) { return result(open("/dev/null", O_RDONLY | O_CLOEXEC)); }
int clinux_open_read(const char *path) { return result(open(path, O_RDONLY | O_CLOEXEC)); }
int clinux_watch_directory(const char *path) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return -errno;
    if (inotify_add_watch(fd, path, IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR) >= 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}
int clinux_open_append(const char *path) { return result(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)); }
int clinux_create_new(const char *path, uint32_t mode) { return result(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)); }

int64_t clinux_file_size(int fd) {
    struct stat s;
    return fstat(fd, &s) < 0 ? -errno : (int64_t)s.st_size;
}

long clinux_read(int fd, void *bytes, size_t count) {
    ssize_t n;
    do n = read(fd, bytes, count);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

long clinux_write(int fd, const void *bytes, size_t count) {
    ssize_t n;
    do n = write(fd, bytes, count);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int clinux_set_mode(int fd, uint32_t mode) { return result(fchmod(fd, mode)); }
int clinux_sync(int fd) { return result(fsync(fd)); }
int clinux_rename(const char *from, const char *to) { return result(rename(from, to)); }
int clinux_unlink(const char *path) { return result(unlink(path)); }
int clinux_make_directory(const char *path, uint32_t mode) { return result(mkdir(path, mode)); }

int clinux_is_executable(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0;
}

int clinux_pipe(int ends[2]) { return result(pipe2(ends, O_CLOEXEC)); }

int clinux_memory_file(void) { return result(memfd_create("weft", MFD_CLOEXEC)); }
int clinux_open_write(const char *path) { return result(open(path, O_WRONLY | O_CLOEXEC)); }

long clinux_read_at(int fd, void *bytes, size_t count, int64_t offset) {
    ssize_t n;
    do n = pread(fd, bytes, count, offset);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int clinux_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int clinux_list(const char *path, int (*each)(void *context, const char *name), void *context) {
    DIR *directory = opendir(path);
    if (directory == NULL) return -errno;
    struct dirent *entry;
    int stop = 0;
    while (stop >= 0 && (entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) stop = each(context, entry->d_name);
    closedir(directory);
    return 0;
}

int clinux_lock(int fd) { return result(flock(fd, LOCK_EX | LOCK_NB)); }

int64_t clinux_descriptor_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : (int64_t)limit.rlim_cur;
}

int clinux_set_descriptor_limit(int64_t soft) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
    limit.rlim_cur = (rlim_t)soft < limit.rlim_max ? (rlim_t)soft : limit.rlim_max;
    return result(setrlimit(RLIMIT_NOFILE, &limit));
}

int clinux_enter_network_namespace(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int error = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
    close(fd);
    return error;
}

// What a child tells its parent when it could not become the program.
struct failure {
    int32_t error;
    int32_t step;
};

static const char *const steps[] = {"namespace", "group", "user", "redirection", "exec", "parent", "mount"};

static void fail(int report, int step) {
    struct failure failure = {errno, step};
    ssize_t ignored = write(report, &failure, sizeof failure);
    (void)ignored;
    _exit(127);
}

// Runs between fork and exec: async-signal-safe calls only.
static void become(const struct clinux_spawn_request *r, int report, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < 32; s++) signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (r->own_group) setpgid(0, 0);
    if (r->network_namespace != NULL && clinux_enter_network_namespace(r->network_namespace) < 0) fail(report, 0);
    if (r->binds[0] != NULL && (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)) fail(report, 6);
    for (const char *const *bind = r->binds; bind[0] != NULL; bind += 2)
        if (mount(bind[0], bind[1], NULL, MS_BIND, NULL) < 0) fail(report, 6);
    if (r->group >= 0 && (setgroups(0, NULL) < 0 || setgid((gid_t)r->group) < 0)) fail(report, 1);
    if (r->user >= 0 && setuid((uid_t)r->user) < 0) fail(report, 2);
    // After setuid, which clears it.
    if (r->dies_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) fail(report, 5);
    }
    int wanted[3] = {r->input, r->output, r->error};
    int moved[3];
    for (int i = 0; i < 3; i++) {
        int source = wanted[i] >= 0 ? wanted[i] : open("/dev/null", (i == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
        if (source < 0) fail(report, 3);
        // Above 2 first, so that no redirection overwrites the source of another.
        moved[i] = fcntl(source, F_DUPFD_CLOEXEC, 3);
        if (moved[i] < 0) fail(report, 3);
    }
    for (int i = 0; i < 3; i++)
        if (dup2(moved[i], i) < 0) fail(report, 3);
    execve(r->path, (char *const *)r->arguments, (char *const *)r->environment);
    fail(report, 4);
}

int clinux_spawn(const struct clinux_spawn_request *request, const char **step) {
    int ends[2];
    *step = "pipe";
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    // The report must not sit on 0 to 2, where a redirection would overwrite it.
    int report = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
    close(ends[1]);
    if (report < 0) {
        int error = -errno;
        close(ends[0]);
        return error;
    }
    *step = "fork";
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) become(request, report, parent);
    int fork_error = errno;
    close(report);
    if (pid < 0) {
        close(ends[0]);
        return -fork_error;
    }
    struct failure failure;
    long n = clinux_read(ends[0], &failure, sizeof failure);
    close(ends[0]);
    if (n == sizeof failure) {
        *step = steps[failure.step];
        int status;
        clinux_reap(pid, 1, &status);
        return -failure.error;
    }
    return (int)pid;
}

int clinux_reap(int pid, int wait, int *status) {
    int raw = 0;
    pid_t got;
    do got = waitpid(pid, &raw, wait ? 0 : WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    if (got == 0) return 0;
    *status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
    return 1;
}

int clinux_process_descriptor(int pid) {
#ifdef SYS_pidfd_open
    return result((int)syscall(SYS_pidfd_open, pid, 0));
#else
    return -ENOSYS;
#endif
}

static int forget_code(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    (void)context;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & -page;
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz + page - 1) & -page;
        // Refused for the kernel's own object, which has nothing to give.
        (void)madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void clinux_forget_code(void) { dl_iterate_phdr(forget_code, NULL); }

int clinux_signal(int pid, int number) { return result(kill(pid, number)); }
