/* Attempts on processes, identity, limits and the IPC of the host. */
#include "attempts.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util.h"

static int result_of(long r)
{
    return r < 0 ? negative_errno() : 0;
}

static int signal_init_by_pidfd(char **arguments)
{
    AUTO_FD int fd = (int)syscall(SYS_pidfd_open, 1, 0);

    if (fd < 0)
        return negative_errno();
    return result_of(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
}

/* PID 1 is no parent, session or group mate through which a child could reach it. */
static int signal_init_from_child(char **arguments)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(kill(1, 0) == 0 ? 0 : errno);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return 0;
    return -WEXITSTATUS(status);
}

static int affinity_of_init(char **arguments)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(0, &set);
    return result_of(sched_setaffinity(1, sizeof(set), &set));
}

static int raise_capabilities(char **arguments)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};

    return result_of(syscall(SYS_capset, &header, all));
}

static int inherit_capabilities(char **arguments)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct all[2] = {{0, 0, ~0U}, {0, 0, ~0U}};

    return result_of(syscall(SYS_capset, &header, all));
}

static int realtime(char **arguments)
{
    const struct sched_param parameters = {.sched_priority = 1};

    return result_of(sched_setscheduler(0, SCHED_FIFO, &parameters));
}

static int realtime_io(char **arguments)
{
    return result_of(syscall(SYS_ioprio_set, 1 /* a process */, 0, 1 << 13 /* real time */));
}

static int raise_limit(int resource)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) < 0)
        return negative_errno();
    limit.rlim_max++;
    return result_of(setrlimit(resource, &limit));
}

static int raise_open_files(char **arguments)
{
    return raise_limit(RLIMIT_NOFILE);
}

static int raise_core(char **arguments)
{
    return raise_limit(RLIMIT_CORE);
}

/* A setuid program of the host gains nothing: su, asked for root's shell, cannot give one. */
static int run_su(char **arguments)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd <= 2; fd++)
            (void)dup2(null, fd);
        (void)execl("/usr/bin/su", "su", "-c", "true", (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return negative_errno();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Refused with EBADF if there is no descriptor but 0, 1, 2 and the one that looks. */
static int inherited_descriptors(char **arguments)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int r = -EBADF;

    if (!folder)
        return negative_errno();
    while ((entry = readdir(folder))) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && fd > 2 && fd != dirfd(folder))
            r = 0;
    }
    (void)closedir(folder);
    return r;
}

/* Refused with ESRCH if every process that can be seen is the agent's. */
static int see_other_processes(char **arguments)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    int r = -ESRCH;

    if (!folder)
        return negative_errno();
    while ((entry = readdir(folder)))
        if (streq(entry->d_name, "1"))
            r = 0;
    (void)closedir(folder);
    return r;
}

#ifdef __x86_64__
/* The 32-bit entry of the kernel: getpid there is 20. A kernel without it kills the child. */
static int old_entry(char **arguments)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        long r = 20;
        __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
        _exit(r < 0 ? (int)-r : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return negative_errno();
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ENOSYS;
}
#endif

/* Processes that make orphans, which PID 1 has to reap, faster than it can: it must notice the end
 * of the agent, and with it of the cage, all the same. They are started, no more. */
static NORETURN void make_orphans(void)
{
    (void)setsid();
    for (;;) {
        if (vfork() == 0) {
            if (syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0)
                _exit(0);
            _exit(0);
        }
        (void)waitpid(-1, NULL, 0);
    }
}

static int outlive_by_orphans(char **arguments)
{
    for (long n = arguments[0] ? strtol(arguments[0], NULL, 10) : 0; n > 0; n--)
        if (fork() == 0)
            make_orphans();
    return arguments[1] && sleep((unsigned)strtoul(arguments[1], NULL, 10)) > 0 ? 0 : -ECHILD;
}

/* -- objects of the host, by a key that a test gives -- */

static key_t key_of(char **arguments)
{
    return arguments[0] ? (key_t)strtol(arguments[0], NULL, 0) : 0x0ca6ed;
}

static int host_shared_memory(char **arguments)
{
    return result_of(shmget(key_of(arguments), 0, 0));
}

static int host_semaphores(char **arguments)
{
    return result_of(semget(key_of(arguments), 0, 0));
}

static int host_messages(char **arguments)
{
    return result_of(msgget(key_of(arguments), 0));
}

/* A process of the host, by its pid there. */
static int signal_host_process(char **arguments)
{
    return arguments[0] ? result_of(kill((pid_t)strtol(arguments[0], NULL, 10), 0)) : -EINVAL;
}

const struct attempt process_attempts[] = {
    {"signal-init-by-pidfd", signal_init_by_pidfd, {EPERM}},
    {"signal-init-from-child", signal_init_from_child, {EPERM}},
    {"affinity-of-init", affinity_of_init, {EPERM}},
    {"raise-capabilities", raise_capabilities, {EPERM}},
    {"inherit-capabilities", inherit_capabilities, {EPERM}},
    {"realtime", realtime, {EPERM}},
    {"realtime-io", realtime_io, {EPERM}},
    {"raise-open-files", raise_open_files, {EPERM}},
    {"raise-core", raise_core, {EPERM}},
    {"run-su", run_su, {EPERM}},
    {"inherited-descriptors", inherited_descriptors, {EBADF}},
    {"see-other-processes", see_other_processes, {ESRCH}},
#ifdef __x86_64__
    {"32-bit-abi", old_entry, {ENOSYS}},
#endif
    {"outlive-by-orphans", outlive_by_orphans, {ECHILD}, "COUNT SECONDS"},
    {"host-shared-memory", host_shared_memory, {ENOENT}, "KEY"},
    {"host-semaphores", host_semaphores, {ENOENT}, "KEY"},
    {"host-messages", host_messages, {ENOENT}, "KEY"},
    {"signal-host-process", signal_host_process, {ESRCH}, "PID"},
};
const size_t n_process_attempts = ARRAY_SIZE(process_attempts);
