/* Giving up every privilege. Each step stands where it stands because a later one takes away what
 * it needs, or would undo it; the comments say which. All of it is system calls without a library:
 * nothing here allocates or opens a file, since PID 1 of each cage keeps what this touches. */
#include "drop.h"

#include <grp.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "capabilities.h"
#include "util.h"

/* Named one by one: SECURE_ALL_BITS of newer headers holds bits that older kernels refuse. */
#define SECUREBITS_LOCKED                                                                          \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |       \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* Limits: first, since raising a hard limit needs CAP_SYS_RESOURCE in the host's user
 * namespace. Whatever ran the daemon may have had real-time rights, which are not the agent's.
 * No core file; a core_pattern program of the host learns of the limit and is to heed it, as
 * systemd-coredump does (core(5), %c). */
static int drop_limits(const struct identity *identity)
{
    const struct {
        int resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_NOFILE, identity->max_open_files},
        {RLIMIT_CORE, 0},
        {RLIMIT_RTPRIO, 0},
        {RLIMIT_NICE, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        const struct rlimit limit = {limits[i].value, limits[i].value};
        if (setrlimit(limits[i].resource, &limit) < 0)
            return negative_errno();
    }
    return 0;
}

/* Keys: an empty session keyring instead of the daemon's. A kernel without keys has none to
 * leave. */
static int drop_keys(const struct identity *identity)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
        return negative_errno();
    return 0;
}

/* Groups: before the user namespace, where setgroups(2) is denied. */
static int drop_groups(const struct identity *identity)
{
    return setgroups(0, NULL) < 0 ? negative_errno() : 0;
}

/* User namespace: before the ids, which are numbers inside it. From here on no capability reaches
 * any object of the host or any mount of the cage. The kernel gives whoever enters all capabilities
 * in the new namespace and a full bounding set (user_namespaces(7)), so these go later. */
static int drop_namespace(const struct identity *identity)
{
    return setns(identity->userns_fd, CLONE_NEWUSER) < 0 ? negative_errno() : 0;
}

/* Ids: gid first, since setting it needs a capability that the uid may take along. */
static int drop_ids(const struct identity *identity)
{
    if (setresgid(identity->id, identity->id, identity->id) < 0 ||
        setresuid(identity->id, identity->id, identity->id) < 0)
        return negative_errno();
    return 0;
}

/* Bounding set: before the capabilities, since it needs CAP_SETPCAP. */
static int drop_bounding_set(const struct identity *identity)
{
    return capabilities_drop_bounding_set();
}

/* Securebits: before the capabilities too. uid 0 means nothing, and this can't be changed back. */
static int drop_securebits(const struct identity *identity)
{
    return prctl(PR_SET_SECUREBITS, SECUREBITS_LOCKED, 0, 0, 0) < 0 ? negative_errno() : 0;
}

/* Capabilities: all that are left. */
static int drop_capabilities(const struct identity *identity)
{
    return capabilities_drop();
}

/* No new privileges: setuid bits and file capabilities give nothing; seccomp asks for it. */
static int drop_new_privileges(const struct identity *identity)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? negative_errno() : 0;
}

/* seccomp: last, since it refuses most of the calls above. */
static int drop_system_calls(const struct identity *identity)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, identity->filter) < 0 ? negative_errno()
                                                                                  : 0;
}

static const struct drop_step {
    const char *name;
    int (*drop)(const struct identity *identity);
} drop_steps[] = {
    {"resource limits", drop_limits},
    {"session keyring", drop_keys},
    {"supplementary groups", drop_groups},
    {"user namespace", drop_namespace},
    {"uid and gid", drop_ids},
    {"bounding set", drop_bounding_set},
    {"securebits", drop_securebits},
    {"capabilities", drop_capabilities},
    {"no_new_privs", drop_new_privileges},
    {"seccomp", drop_system_calls},
};

int drop_privileges(const struct identity *identity, const char **ret_what)
{
    for (size_t i = 0; i < ARRAY_SIZE(drop_steps); i++) {
        int r = drop_steps[i].drop(identity);
        if (r < 0) {
            *ret_what = drop_steps[i].name;
            return r;
        }
    }
    return 0;
}
