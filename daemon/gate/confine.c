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
 *  8. seccomp, last, because the filter allows none of the calls above.
 *
 * The filter answers EPERM rather than kill: a refused call has not happened, which is all that
 * safety asks, while a new libc or c-ares that probes for a call should cost the agent nothing.
 *
 * A build with sanitizers needs calls (of its own threads, its shadow memory and its reports) that
 * have no place in this list: it ends at step 7 and says so when it starts. */
#include "confine.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "util.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* How many descriptors the gate may ever have open: for each connection the client's and a
 * server's, and dials that race with another. The 32: standard streams, inherited
 * descriptors, epoll, and the resolver's sockets (two for each server that resolv.conf can name,
 * three, and one while it changes over). */
#define DESCRIPTORS_MAX                                                                            \
    (32 + GATE_FORWARDS_MAX + 2 * GATE_CONNECTIONS_MAX + GATE_REFUSING_MAX + GATE_DIAL_EXTRA_MAX)

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

/* Calls allowed whatever their arguments. No recvmsg(2) or sendmsg(2): descriptors cannot be
 * passed, in or out. writev(2) is how c-ares writes to TCP. */
static const int plain_calls[] = {
    /* the loop */
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn),
    /* sockets, ours and the resolver's; accept4 only works on what was inherited */
    SCMP_SYS(accept4), SCMP_SYS(close), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(writev),
    /* malloc(3) and the end */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(getrandom),
    SCMP_SYS(exit), SCMP_SYS(exit_group)};

static int allow_plain_calls(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < ARRAY_SIZE(plain_calls); i++) {
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, plain_calls[i], 0);
        if (r < 0)
            return r;
    }
    return 0;
}

/* shutdown(2), and connect(2) to AF_UNSPEC, would end a listener for good: it is one with cagedd's
 * own, and every later gate of the agent would find it dead. */
static int allow_on_own_sockets(scmp_filter_ctx filter, unsigned first_own_fd)
{
    static const int calls[] = {SCMP_SYS(connect), SCMP_SYS(shutdown)};
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
                             SCMP_A0_32(SCMP_CMP_GE, first_own_fd));
    return r;
}

/* TCP and UDP over IP alone: no AF_UNIX (other daemons), AF_NETLINK, AF_PACKET or raw sockets. */
static int allow_ip_sockets(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

    for (size_t f = 0; f < ARRAY_SIZE(families); f++)
        for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
            int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
                                     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)families[f]),
                                     SCMP_A1_32(SCMP_CMP_MASKED_EQ,
                                                ~(uint32_t)(SOCK_NONBLOCK | SOCK_CLOEXEC),
                                                (uint32_t)types[t]),
                                     SCMP_A2_32(SCMP_CMP_EQ, 0));
            if (r < 0)
                return r;
        }
    return 0;
}

/* What net.c and c-ares set, and nothing that touches routing, devices or filters. */
static int allow_socket_options(scmp_filter_ctx filter)
{
    static const struct {
        int level;
        int option;
    } options[] = {
        {SOL_SOCKET, SO_LINGER},     {SOL_SOCKET, SO_KEEPALIVE},   {IPPROTO_TCP, TCP_NODELAY},
        {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPINTVL}, {IPPROTO_TCP, TCP_KEEPCNT},
    };
    int r =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2,
                         SCMP_A1_32(SCMP_CMP_EQ, SOL_SOCKET), SCMP_A2_32(SCMP_CMP_EQ, SO_ERROR));
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(options); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
                             SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)options[i].level),
                             SCMP_A2_32(SCMP_CMP_EQ, (uint32_t)options[i].option));
    return r;
}

/* Memory that is never executable and never a file; of fcntl(2) what c-ares asks of its sockets. */
static int allow_narrow_calls(scmp_filter_ctx filter)
{
    static const int commands[] = {F_GETFL, F_SETFL, F_GETFD, F_SETFD};
    int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
                             SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
                             SCMP_A3_32(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(commands); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                             SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)commands[i]));
    return r;
}

static int filter_calls(unsigned first_own_fd)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0); /* step 7 set it */
    if (r == 0)
        r = allow_plain_calls(filter);
    if (r == 0)
        r = allow_on_own_sockets(filter, first_own_fd);
    if (r == 0)
        r = allow_ip_sockets(filter);
    if (r == 0)
        r = allow_socket_options(filter);
    if (r == 0)
        r = allow_narrow_calls(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r;
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
    (void)filter_calls;
    fputs("caged-gate: built with sanitizers: no seccomp filter and no memory limit\n", stderr);
#else
    r = filter_calls(first_own_fd);
    if (r < 0)
        return failed(ret_step, "loading the seccomp filter", r);
#endif
    return 0;
}
