/* The gate drops everything that it will not need. Each step stands where it stands because a
 * later one takes away what it needs:
 *
 *  1. an empty root: a detached tmpfs, read-only, and chroot into it. Needs CAP_SYS_ADMIN and
 *     CAP_SYS_CHROOT, so it comes first. It is made with fsmount(2) and never attached anywhere:
 *     no directory has to exist for it, no mount namespace is copied, and it is gone with the
 *     gate. (A chroot holds whoever has no CAP_SYS_CHROOT and no descriptor of a directory outside;
 *     the gate has neither.)
 *  2. resource limits: no file, process or core, so many descriptors, so much memory. While still
 *     root, so that the limits are the new uid's from its first moment.
 *  3. the bounding set: needs CAP_SETPCAP.
 *  4. groups, gid, uid: need CAP_SETGID and CAP_SETUID; in this order, since without CAP_SETUID
 *     nothing comes after.
 *  5. the other capability sets: the change of uid emptied permitted and effective already; this
 *     empties inheritable and ambient too and does not depend on it.
 *  6. not dumpable: nobody with the same uid may ptrace(2) it or read its /proc files. After the
 *     change of uid, which resets the flag.
 *  7. no_new_privs: from here exec(3) could not give anything back, and seccomp is permitted.
 *  8. seccomp (call-filter.c), last, because the filter allows none of the calls above.
 *
 * A build with sanitizers needs calls (of its own threads, its shadow memory and its reports) that
 * have no place in this list: it ends at step 7 and says so when it starts. */
#include "confine.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "caged-limits.h"
#include "call-filter.h"
#include "native.h"
#include "util.h"

/* How many descriptors the gate may ever have open: for each connection the client's and a
 * server's; dials that race with another; pipes for bulk, with two ends each. The 32: standard
 * streams, inherited descriptors, epoll, and the resolver's sockets (two for each server that
 * resolv.conf can name, three, and one while it changes over). */
#define DESCRIPTORS_MAX                                                                            \
    (32 + GATE_LISTENERS_MAX + 2 * GATE_CONNECTIONS_MAX + GATE_REFUSING_MAX +                      \
     GATE_DIAL_EXTRA_MAX + 2 * GATE_PIPES_MAX)

static int enter_empty_root(void)
{
    AUTO_FD int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0)
        return negative_errno();
    if (fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return negative_errno();
    AUTO_FD int root =
        fsmount(fs, FSMOUNT_CLOEXEC,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (root < 0)
        return negative_errno();
    if (fchdir(root) < 0 || chroot(".") < 0)
        return negative_errno();
    return 0;
}

static int set_limits(void)
{
    const struct {
        __rlimit_resource_t resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_NOFILE, DESCRIPTORS_MAX},
        {RLIMIT_DATA, SANITIZED ? RLIM_INFINITY : GATE_MEMORY_MAX},
        {RLIMIT_CORE, 0},
        {RLIMIT_FSIZE, 0},
        {RLIMIT_NPROC, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        struct rlimit limit = {limits[i].value, limits[i].value};
        if (setrlimit(limits[i].resource, &limit) < 0)
            return negative_errno();
    }
    return 0;
}

static int drop_bounding_set(void)
{
    capng_clear(CAPNG_SELECT_BOUNDS);
    return capng_apply(CAPNG_SELECT_BOUNDS) == 0 ? 0 : -EPERM;
}

static int change_user(uid_t uid)
{
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        return negative_errno();
    return 0;
}

static int drop_capabilities(void)
{
    capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
    return capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) == 0 ? 0 : -EPERM;
}

static int set_flag(int option, unsigned long value)
{
    return prctl(option, value, 0, 0, 0) < 0 ? negative_errno() : 0;
}

static int failed(const char **ret_step, const char *step, int r)
{
    *ret_step = step;
    return r;
}

int confine_enter(uid_t uid, unsigned first_own_fd, const char **ret_step)
{
    int r = enter_empty_root();
    if (r < 0)
        return failed(ret_step, "entering an empty root", r);
    r = set_limits();
    if (r < 0)
        return failed(ret_step, "setting resource limits", r);
    r = drop_bounding_set();
    if (r < 0)
        return failed(ret_step, "emptying the capability bounding set", r);
    r = change_user(uid);
    if (r < 0)
        return failed(ret_step, "changing to its own uid", r);
    r = drop_capabilities();
    if (r < 0)
        return failed(ret_step, "dropping capabilities", r);
    r = set_flag(PR_SET_DUMPABLE, 0);
    if (r < 0)
        return failed(ret_step, "becoming undumpable", r);
    r = set_flag(PR_SET_NO_NEW_PRIVS, 1);
    if (r < 0)
        return failed(ret_step, "setting no_new_privs", r);
#if SANITIZED
    (void)first_own_fd;
    fputs("caged-gate: built with sanitizers: no seccomp filter and no memory limit\n", stderr);
#else
    r = call_filter_load(first_own_fd);
    if (r < 0)
        return failed(ret_step, "loading the seccomp filter", r);
#endif
    return 0;
}
