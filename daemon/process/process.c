/* Starts a helper program: clone3, cgroups, descriptors in their places, execveat. Between clone3
 * and its channel (start-channel.h) a child has the daemon's own table: it must open and close
 * nothing there. */
#include "process/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "process/start-channel.h"
#include "util.h"

/* Puts fds[i] at i. First everything above the targets, so that no dup2 hits a source not yet used;
 * dup2 clears close-on-exec. */
static int place_descriptors(const int *fds, size_t n)
{
    int high[PROCESS_FDS_MAX];

    for (size_t i = 0; i < n; i++) {
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PROCESS_FDS_MAX);
        if (high[i] < 0)
            return negative_errno();
    }
    for (size_t i = 0; i < n; i++)
        if (dup2(high[i], (int)i) < 0)
            return negative_errno();
    return 0;
}

static void default_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A thread that moves itself ("0" in `tasks`) is the one move between v1 cgroups that the kernel
 * does without its global lock, for which another would wait some ten milliseconds
 * (cgroup_attach_lock in kernel/cgroup/cgroup.c). This process has one thread yet. */
static int join_cgroups(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0 && write(fds[i], "0", 1) < 0)
            return negative_errno();
    return 0;
}

/* The C library's own functions would have each thread of the process do the same, and its list of
 * threads is the daemon's: this copy has one. */
#ifdef SYS_setresuid32
#define SYS_SETGROUPS SYS_setgroups32
#define SYS_SETRESGID SYS_setresgid32
#define SYS_SETRESUID SYS_setresuid32
#else
#define SYS_SETGROUPS SYS_setgroups
#define SYS_SETRESGID SYS_setresgid
#define SYS_SETRESUID SYS_setresuid
#endif

static int change_user(uid_t uid, gid_t gid)
{
    if (syscall(SYS_SETGROUPS, 0, NULL) < 0 || syscall(SYS_SETRESGID, gid, gid, gid) < 0 ||
        syscall(SYS_SETRESUID, uid, uid, uid) < 0)
        return negative_errno();
    return 0;
}

/* The bounding set first, which needs CAP_SETPCAP; then the user, for which capabilities are needed
 * too; then what root would still have. From no_new_privs on execve(2) gives nothing back, and an
 * empty bounding set gives root nothing (capabilities(7)). */
static int drop_privileges(const struct process_drop *drop)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

    for (size_t i = 0; i < drop->n_limits; i++) {
        const struct rlimit limit = {drop->limits[i].maximum, drop->limits[i].maximum};
        if (setrlimit(drop->limits[i].resource, &limit) < 0)
            return negative_errno();
    }
    /* A daemon that is nicer already has no right to give that up. */
    if (getpriority(PRIO_PROCESS, 0) < drop->nice && setpriority(PRIO_PROCESS, 0, drop->nice) < 0)
        return negative_errno();
    for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
            return negative_errno();
    int r = change_user(drop->uid, drop->gid);
    if (r < 0)
        return r;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return negative_errno();
    return 0;
}

/* It ends with the daemon. A change of credentials forgets the signal, so this comes after; it is
 * sent when the thread ends that started the process, which is the daemon's first. */
static int end_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return negative_errno();
    return getppid() == parent ? 0 : -ESRCH;
}

/* What a process takes over, in this order: the program, entrances of cgroups, its descriptors, a
 * network namespace. */
struct inventory {
    int fds[1 + PROCESS_TASKS_MAX + PROCESS_FDS_MAX + 1];
    size_t n, n_tasks;
};

static int take_inventory(const struct process_spec *spec, struct inventory *ret)
{
    struct inventory all = {.fds = {spec->executable}, .n = 1};

    if (spec->n_fds > PROCESS_FDS_MAX || spec->n_tasks_fds > PROCESS_TASKS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < spec->n_tasks_fds; i++)
        if (spec->tasks_fds[i] >= 0)
            all.fds[all.n++] = spec->tasks_fds[i];
    all.n_tasks = all.n - 1;
    for (size_t i = 0; i < spec->n_fds; i++)
        all.fds[all.n++] = spec->fds[i];
    if (spec->netns_fd >= 0)
        all.fds[all.n++] = spec->netns_fd;
    *ret = all;
    return 0;
}

static NORETURN void child(const struct process_spec *spec, struct inventory *all, int channel,
                           pid_t parent)
{
    char *name_alone[] = {(char *)spec->name, NULL}, *environment[] = {NULL};
    char *const *arguments = spec->arguments ? spec->arguments : name_alone;
    const int *tasks = all->fds + 1;

    default_signals();
    int executable = start_channel_take(channel, all->fds, all->n) < 0
                         ? -1
                         : fcntl(all->fds[0], F_DUPFD_CLOEXEC, PROCESS_FDS_MAX);
    if (executable >= 0 && (spec->netns_fd < 0 || setns(all->fds[all->n - 1], CLONE_NEWNET) >= 0) &&
        join_cgroups(tasks, all->n_tasks) >= 0 &&
        place_descriptors(tasks + all->n_tasks, spec->n_fds) >= 0 &&
        close_range((unsigned)spec->n_fds, ~0u, CLOSE_RANGE_CLOEXEC) >= 0 &&
        (!spec->drop || (drop_privileges(spec->drop) >= 0 && end_with_parent(parent) >= 0)))
        (void)syscall(SYS_execveat, executable, "", arguments, environment, AT_EMPTY_PATH);
    _exit(PROCESS_NOT_STARTED);
}

int process_start(const struct process_spec *spec, pid_t *ret_pid, int *ret_pidfd)
{
    struct inventory all;
    int pidfd = -EBADF;
    struct clone_args args = {
        .flags = spec->clone_flags | CLONE_PIDFD | CLONE_FILES,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    int r = take_inventory(spec, &all);

    if (r < 0)
        return r;
    if (spec->cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)spec->cgroup_fd;
    }
    int channel = start_channel_put(spec->user, all.fds, all.n);
    if (channel < 0)
        return channel;
    pid_t parent = getpid();
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        child(spec, &all, channel, parent);
    r = pid < 0 ? negative_errno() : 0;
    start_channel_assign(channel, pid);
    if (r < 0)
        return r;
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

const char *process_why_not_started(int error)
{
    if (error == -EBUSY)
        return "as many processes of its user as may be are just being started; it can be tried "
               "again in a moment";
    if (error == -EXFULL)
        return "as many processes as may be are just being started; it can be tried again in a "
               "moment";
    return strerror(-error);
}

int process_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? negative_errno() : 0;
}

void process_end(int pidfd)
{
    if (pidfd < 0)
        return;
    (void)process_signal(pidfd, SIGKILL);
    siginfo_t info = {};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) == 0)
        start_channel_forget(info.si_pid);
}

int process_reap(int pidfd, int *ret_status)
{
    siginfo_t info = {};

    while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
        if (errno != EINTR)
            return negative_errno();
    if (info.si_pid == 0)
        return 0;
    start_channel_forget(info.si_pid);
    *ret_status = info.si_code == CLD_EXITED
                      ? (info.si_status & 0xff) << 8
                      : info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
    return 1;
}
