/* Descriptors of every wrong kind, where a request must have one of a certain kind. */
#include "hostile.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static const struct target *attacked;

static const char *in_folder(const char *name)
{
    static char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", attacked->folder, name) >= (int)sizeof(path))
        die("path");
    return path;
}

/* -- the kinds -- */

static int of_stream_pair(void)
{
    int pair[2];

    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? -1
                                                                        : (close(pair[1]), pair[0]);
}

static int of_datagram_pair(void)
{
    int pair[2];

    return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0 ? -1
                                                                       : (close(pair[1]), pair[0]);
}

static int of_listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && listen(fd, 1) < 0 ? -1 : fd;
}

static int of_pipe_end(int end)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    close(ends[!end]);
    return ends[end];
}

static int of_reading_end(void)
{
    return of_pipe_end(0);
}

static int of_fifo(void)
{
    (void)mkfifo(in_folder("fifo"), 0600);
    return open(in_folder("fifo"), O_RDWR | O_CLOEXEC);
}

static int of_file(void)
{
    return open(in_folder("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int of_deleted_file(void)
{
    int fd = open(in_folder("gone"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    (void)unlink(in_folder("gone"));
    return fd;
}

static int of_deleted_folder(void)
{
    (void)mkdir(in_folder("gone"), 0700);
    int fd = open(in_folder("gone"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)rmdir(in_folder("gone"));
    return fd;
}

static int of_path_to_file(void)
{
    fd_close(of_file());
    return open(in_folder("file"), O_PATH | O_CLOEXEC);
}

/* It can be opened so without a right to read it. */
static int of_path_to_closed_folder(void)
{
    return open("/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int of_path_to_link(void)
{
    if (symlink("/", in_folder("link")) < 0 && errno != EEXIST)
        return -1;
    return open(in_folder("link"), O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int of_root(void)
{
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int of_etc(void)
{
    return open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int of_proc(void)
{
    return open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int of_proc_file(void)
{
    return open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
}

static int of_own_descriptors(void)
{
    return open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int of_namespace(void)
{
    return open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

static int of_sys(void)
{
    return open("/sys/kernel", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int of_null(void)
{
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int of_zero(void)
{
    return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int of_terminal(void)
{
    return open("/dev/ptmx", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

static int of_epoll(void)
{
    return epoll_create1(EPOLL_CLOEXEC);
}

static int of_eventfd(void)
{
    return eventfd(0, EFD_CLOEXEC);
}

static int of_timer(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int of_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int of_inotify(void)
{
    return inotify_init1(IN_CLOEXEC);
}

static int of_memory(void)
{
    return memfd_create("hostile", MFD_CLOEXEC);
}

static int of_process(void)
{
    return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

static int of_ring(void)
{
    struct io_uring_params parameters = {};

    return (int)syscall(SYS_io_uring_setup, 4, &parameters);
}

static int of_userfault(void)
{
    return (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
}

static int of_queue(void)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "/caged-hostile-%d", getpid());
    int fd = mq_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600, NULL);
    (void)mq_unlink(name);
    return fd;
}

static int of_daemon(void)
{
    return wire_connect(attacked);
}

/* A folder in a mount namespace of the user's own. The child is that namespace's; the descriptor
 * keeps it. */
static int of_other_mounts(void)
{
    int pair[2], fd = -1;
    char path[64];

    if (pipe(pair) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        char ok = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 1 : 0;
        (void)!write(pair[1], &ok, 1);
        (void)pause();
        _exit(0);
    }
    char ok = 0;
    if (pid > 0 && read(pair[0], &ok, 1) == 1 && ok) {
        (void)snprintf(path, sizeof(path), "/proc/%d/root%s", pid, "/var");
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (pid > 0)
        (void)kill(pid, SIGKILL);
    close(pair[0]);
    close(pair[1]);
    return fd;
}

static const struct {
    const char *name;
    int (*make)(void);
} kinds[] = {
    {"stream-pair", of_stream_pair},
    {"datagram-pair", of_datagram_pair},
    {"listener", of_listener},
    {"reading-end", of_reading_end},
    {"fifo", of_fifo},
    {"file", of_file},
    {"deleted-file", of_deleted_file},
    {"deleted-folder", of_deleted_folder},
    {"path-to-file", of_path_to_file},
    {"path-to-closed-folder", of_path_to_closed_folder},
    {"path-to-link", of_path_to_link},
    {"root", of_root},
    {"etc", of_etc},
    {"proc", of_proc},
    {"proc-file", of_proc_file},
    {"own-descriptors", of_own_descriptors},
    {"namespace", of_namespace},
    {"sys", of_sys},
    {"null", of_null},
    {"zero", of_zero},
    {"terminal", of_terminal},
    {"epoll", of_epoll},
    {"eventfd", of_eventfd},
    {"timer", of_timer},
    {"signals", of_signals},
    {"inotify", of_inotify},
    {"memory", of_memory},
    {"process", of_process},
    {"ring", of_ring},
    {"userfault", of_userfault},
    {"queue", of_queue},
    {"daemon", of_daemon},
    {"other-mounts", of_other_mounts},
};

/* -- where they go -- */

/* Newer kernels let nobody send an io_uring. */
static bool can_be_sent(int fd)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
        die("socketpair");
    bool can = wire_send_fds(pair[0], "x", 1, &fd, 1) == 1;
    int saved = errno;
    close(pair[0]);
    close(pair[1]);
    errno = saved;
    return can;
}

/* A request in whose descriptor `index` the wrong kind is; those before it are good folders of the
 * user's. The arguments are pairs of a request, with the place of one name of an agent in it, and
 * that index. */
static void try(const char *request, size_t index, size_t kind)
{
    int fds[16];

    for (size_t i = 0; i < index; i++)
        fds[i] = open(attacked->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fds[index] = kinds[kind].make();
    if (fds[index] < 0 || !can_be_sent(fds[index])) {
        printf("%s\t-\tnot to be had: %s\n", kinds[kind].name, strerror(errno));
    } else {
        const char *error = wire_ask(attacked, request, fds, index + 1);
        printf("%s\t%zu\t%s\t%s\n", kinds[kind].name, index, error, wire_last_what());
    }
    for (size_t i = 0; i <= index; i++)
        fd_close(fds[i]);
}

int attack_descriptors(const struct target *target)
{
    attacked = target;
    for (char **argument = target->arguments; argument[0] && argument[1]; argument += 2) {
        size_t index = strtoul(argument[1], NULL, 10);
        if (index >= 16)
            die("index");
        for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++)
            try(argument[0], index, kind);
    }
    return EXIT_SUCCESS;
}
