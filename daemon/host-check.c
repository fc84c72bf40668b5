/* What no agent can be started without, each asked for in the way that tells whether it is there
 * and does nothing. A kernel lacks one because it is too old, was built without it, or because
 * somebody (a container's seccomp profile) keeps it from us. Which file system can be idmapped is
 * not asked here: that is the workspace's matter, when there is one. */
#include "host-check.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "fd-io.h"
#include "util.h"
#include "why.h"

/* 0 if the call came as far as to look at what it was given, which is `refusal`. */
static int came_to(long result, int refusal)
{
    if (result >= 0) {
        (void)fd_close((int)result);
        return 0;
    }
    return errno == refusal ? 0 : negative_errno();
}

static int has_pidfd_signals(void)
{
    return came_to(syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0), EBADF);
}

static int has_mount_descriptors(void)
{
    return came_to(fsopen("tmpfs", FSOPEN_CLOEXEC), 0);
}

static int has_waiting_for_pidfds(void)
{
    return came_to(waitid(P_PIDFD, INT_MAX, &(siginfo_t){}, WEXITED | WNOHANG), EBADF);
}

static int has_openat2(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};

    return came_to(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)), 0);
}

/* No such descriptor, so no child; older kernels know no cgroup here (E2BIG). */
static int has_birth_in_cgroup(void)
{
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = INT_MAX};
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid == 0)
        _exit(0);
    return pid > 0 ? -ENOTSUP : came_to(pid, EBADF);
}

static int has_close_range(void)
{
    return close_range(UINT_MAX, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0 ? negative_errno() : 0;
}

static int has_mount_attributes(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID};

    return came_to(mount_setattr(-1, "", AT_EMPTY_PATH, &attr, sizeof(attr)), EBADF);
}

static int has_seccomp_filters(void)
{
    return came_to(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0), EFAULT);
}

static int has_namespaces(void)
{
    static const char *const files[] = {
        "/proc/self/ns/mnt", "/proc/self/ns/pid",    "/proc/self/ns/net", "/proc/self/ns/ipc",
        "/proc/self/ns/uts", "/proc/self/ns/cgroup", "/proc/self/ns/user"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (access(files[i], F_OK) < 0)
            return negative_errno();
    return 0;
}

/* Some hosts switch them off so (namespaces(7), "/proc/sys/user"). */
static int may_make_user_namespaces(void)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = file_read_all("/proc/sys/user/max_user_namespaces", 64, &text, &size);

    if (r < 0)
        return r;
    return strtoull(text, NULL, 10) > 0 ? 0 : -ENOSPC;
}

static const struct {
    const char *what;
    const char *since;
    int (*probe)(void);
} needs[] = {
    {"namespaces of all kinds (CONFIG_NAMESPACES, CONFIG_USER_NS)", "4.6", has_namespaces},
    {"room for user namespaces (sysctl user.max_user_namespaces)", "4.9", may_make_user_namespaces},
    {"seccomp filters (CONFIG_SECCOMP_FILTER)", "3.5", has_seccomp_filters},
    {"pidfd_send_signal", "5.1", has_pidfd_signals},
    {"fsopen", "5.2", has_mount_descriptors},
    {"waitid for a pidfd", "5.4", has_waiting_for_pidfds},
    {"openat2", "5.6", has_openat2},
    {"clone3 into a cgroup", "5.7", has_birth_in_cgroup},
    {"close_range with CLOSE_RANGE_CLOEXEC", "5.11", has_close_range},
    {"mount_setattr, for idmapped mounts", "5.12", has_mount_attributes},
};

int host_check(char **ret_why)
{
    struct utsname name;

    if (uname(&name) < 0)
        return negative_errno();
    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        int r = needs[i].probe();
        if (r < 0)
            return why_set(ret_why, -ENOTSUP,
                           "this kernel (%s) does not give us %s: %s; Linux %s brought it, and a "
                           "sandbox around cagedd may keep it back",
                           name.release, needs[i].what, strerror(-r), needs[i].since);
    }
    return 0;
}
