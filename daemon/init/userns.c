/* User namespaces that nobody lives in; the contract stands in the header. */
#include "userns.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fd-io.h"
#include "util.h"

static NORETURN int end_at_once(void *unused)
{
    _exit(0);
}

static int write_proc(pid_t pid, const char *name, const char *text)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "proc/%d/%s", pid, name);
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return negative_errno();
    return fd_write_all(fd, text, strlen(text));
}

/* All lines in one write, as the kernel wants it (user_namespaces(7)). */
static int write_map(pid_t pid, const char *name, const struct id_maps *maps)
{
    char text[ID_MAPS_MAX * 3 * sizeof("4294967295")];
    size_t used = 0;

    for (size_t i = 0; i < maps->count; i++) {
        const struct id_map *map = &maps->maps[i];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%u %u %u\n", map->inside,
                                 map->outside, map->count);
    }
    return write_proc(pid, name, text);
}

/* setgroups(2) is denied in the namespace for good: the groups are dropped before entering it, and
 * nobody inside has business with them. The kernel wants this before the gid map. */
static int write_maps(pid_t pid, const struct id_maps *uids, const struct id_maps *gids)
{
    char path[64];
    int r;

    r = write_proc(pid, "setgroups", "deny");
    if (r >= 0)
        r = write_map(pid, "uid_map", uids);
    if (r >= 0)
        r = write_map(pid, "gid_map", gids);
    if (r < 0)
        return r;

    (void)snprintf(path, sizeof(path), "proc/%d/ns/user", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? negative_errno() : fd;
}

/* The effective uid alone: the capabilities stay, since hosts may forbid user namespaces to those
 * without. */
static int act_as(uid_t uid)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 ||
        setresuid((uid_t)-1, uid, (uid_t)-1) < 0 || prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0)
        return negative_errno();
    return 0;
}

/* The child shares our memory (CLONE_VM), which spares copying it, and ends at once, on a stack of
 * its own. Until it is waited for it has its credentials, and with them the namespace: that is all
 * that /proc needs to write the maps and to open the namespace (proc_id_map_open() in
 * fs/proc/base.c, userns_get() in kernel/user_namespace.c). So nobody has to wait for its death. */
static pid_t start_child(uid_t owner, char *stack_end)
{
    int r = act_as(owner);

    if (r < 0)
        return r;
    pid_t pid = clone(end_at_once, stack_end, CLONE_NEWUSER | CLONE_VM | SIGCHLD, NULL);
    if (pid < 0)
        pid = negative_errno();
    r = act_as(0);
    return r < 0 ? r : pid;
}

int userns_new(uid_t owner, const struct id_maps *uids, const struct id_maps *gids)
{
    _Alignas(16) char stack[4096];
    pid_t pid = start_child(owner, stack + sizeof(stack));

    if (pid < 0)
        return pid;
    int r = write_maps(pid, uids, gids);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}
