/* caged-scan drops everything that it will not need, before it looks at the first name. Each step
 * stands where it stands because a later one takes away what it needs:
 *
 *  1. root and working directory: the workspace, by a mount that is read-only and attached nowhere;
 *     needs CAP_SYS_CHROOT. What it reads later is what lies in there.
 *  2. resource limits: no file, process or core, little memory, as many descriptors as folders may
 *     lie in one another.
 *  3. the bounding set: needs CAP_SETPCAP.
 *  4. groups, gid, uid: the workspace owner's, so that it reads what that user may read.
 *  5. all capabilities.
 *  6. not dumpable: other processes of that user may not trace it. After the change of uid, which
 *     resets the flag; and so does 7.
 *  7. it ends with cagedd.
 *  8. no_new_privs, and seccomp, which allows none of the calls above.
 *
 * The namespaces (PID, IPC, UTS) are new from its start, and its network is one in which nothing
 * is: it can neither signal that user's processes nor reach anything. A build with sanitizers needs
 * further calls and memory, and has no seccomp filter and no limit of memory. */
#include "confine.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "capabilities.h"
#include "native.h"
#include "scan-proto.h"
#include "util.h"
#include "walk.h"

static int set_limits(void)
{
    const struct {
        __rlimit_resource_t resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_NOFILE, SCAN_DEPTH_MAX + 16},
        {RLIMIT_AS, SANITIZED ? RLIM_INFINITY : SCAN_MEMORY_MAX},
        {RLIMIT_CPU, SCAN_SECONDS},
        {RLIMIT_CORE, 0},
        {RLIMIT_FSIZE, 0},
        {RLIMIT_NPROC, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        const struct rlimit limit = {limits[i].value, limits[i].value};
        if (setrlimit(limits[i].resource, &limit) < 0)
            return negative_errno();
    }
    return 0;
}

static int change_user(uid_t uid, gid_t gid)
{
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return negative_errno();
    return 0;
}

static int set_flag(int option, unsigned long value)
{
    return prctl(option, value, 0, 0, 0) < 0 ? negative_errno() : 0;
}

/* -- seccomp -- */

#define LOAD(member)                                                                               \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, member))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DIE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define UNLESS_SKIP(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, n)
#define ALLOW_CALL(call) UNLESS_SKIP(call, 1), ALLOW
#define ALLOW_CALL_IF(call, argument, value)                                                       \
    UNLESS_SKIP(call, 4), LOAD(args[argument]), UNLESS_SKIP(value, 1), ALLOW, DIE

/* A call that is not here ends it: it has no reason to try. Folders are opened as walk.c opens them
 * and in no other way, and it writes to its output alone. */
static int allow_few_calls(void)
{
    struct sock_filter code[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0),
        DIE,
        LOAD(nr),
        ALLOW_CALL(SYS_statx),
        ALLOW_CALL(SYS_getdents64),
        ALLOW_CALL(SYS_close),
        ALLOW_CALL(SYS_clock_gettime), /* where the vDSO cannot tell the time */
        ALLOW_CALL(SYS_exit_group),
        ALLOW_CALL_IF(SYS_openat, 2, WALK_OPEN_FLAGS),
        ALLOW_CALL_IF(SYS_write, 0, SCAN_FD_OUTPUT),
        DIE,
    };
    const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? negative_errno() : 0;
}

int confine_enter(int fd, uid_t uid, gid_t gid)
{
    int r = fchdir(fd) < 0 || chroot(".") < 0 || close(fd) < 0 ? negative_errno() : 0;

    if (r >= 0)
        r = set_limits();
    if (r >= 0)
        r = capabilities_drop_bounding_set();
    if (r >= 0)
        r = change_user(uid, gid);
    if (r >= 0)
        r = capabilities_drop();
    if (r >= 0)
        r = set_flag(PR_SET_DUMPABLE, 0);
    if (r >= 0)
        r = set_flag(PR_SET_PDEATHSIG, SIGKILL);
    if (r >= 0)
        r = set_flag(PR_SET_NO_NEW_PRIVS, 1);
    return r < 0 || SANITIZED ? r : allow_few_calls();
}
