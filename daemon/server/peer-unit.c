/* The systemd service that a peer is in.
 *
 * A process is found by number, and numbers are used again. So a pidfd is taken first, then
 * /proc/PID/cgroup is read, then the pidfd is asked whether its process is still there: if it is,
 * the number was its own all the time. The pidfd is the peer's by SO_PEERPIDFD (Linux 6.5); before
 * that it is opened by the number that SO_PEERCRED tells, which could be another process's if the
 * peer ended and left its connection to somebody else. That would be a process of root's doing, as
 * the peer is root. */
#include "server/peer-unit.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "fd-io.h"
#include "process/process.h"
#include "unit-path.h"
#include "why.h"

#define PROC_FILE_MAX 65536

/* The text of the peer's /proc/PID/cgroup. */
static int read_cgroup(int socket, const struct peer *peer, char **ret, char **ret_why)
{
    AUTO_FREE char *text = NULL;
    char path[64];
    size_t size;

    if (peer->pid <= 0)
        return why_set(ret_why, -EPERM, "you are in a PID namespace that is not seen from here");
    AUTO_FD int pidfd = peer_open_pidfd(peer, socket);
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", peer->pid);
    int r = pidfd < 0 ? pidfd : file_read_all(path, PROC_FILE_MAX, &text, &size);
    if (r >= 0)
        r = process_signal(pidfd, 0);
    if (r < 0)
        return why_set(ret_why, -EPERM, "the process that connected cannot be asked for: %s",
                       strerror(-r));
    *ret = TAKE_PTR(text);
    return 0;
}

/* Whether a folder of the v2 hierarchy holds this very process: then the path means here what it
 * means in /proc. */
static bool holds_process(const char *folder, const char *leaf, pid_t pid)
{
    AUTO_FREE char *path = NULL, *text = NULL;
    size_t size;

    if (asprintf(&path, "%s/%s/cgroup.procs", folder, leaf) < 0) {
        path = NULL;
        return false;
    }
    if (file_read_all(path, PROC_FILE_MAX, &text, &size) < 0)
        return false;
    for (char *p = text, *end; *p; p = end) {
        if (strtol(p, &end, 10) == pid)
            return true;
        end += *end == '\n';
        if (end == p)
            return false;
    }
    return false;
}

/* Whether the folder is the peer's to give: root's own, and given away by systemd. */
static int check_folder(const char *folder, const char *name, char **ret_why)
{
    struct statfs fs;
    struct stat st;
    char mark;

    AUTO_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return why_set(ret_why, -EPERM, "the cgroup of %s cannot be opened: %s", name,
                       strerror(errno));
    if ((unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
        return why_set(ret_why, -EPERM, "%s is no cgroup of version 2", folder);
    if (st.st_uid != 0)
        return why_set(ret_why, -EPERM,
                       "the cgroup of %s belongs to uid %u, who could move the agent out of the "
                       "card's limits; it must be root's",
                       name, st.st_uid);
    if (fgetxattr(fd, "trusted.delegate", &mark, 1) != 1 || mark != '1')
        return why_set(ret_why, -EPERM,
                       "systemd has not delegated the cgroup of %s: it needs Delegate=yes", name);
    return 0;
}

static int check_leaf(const struct unit_path *path, char **ret_why)
{
    if (!*path->leaf)
        return why_set(ret_why, -EPERM,
                       "you are in the cgroup of %s itself, where no process may be beside other "
                       "cgroups: make a folder in it and move there first, as 'cagectl service' "
                       "does",
                       path->name);
    if (strchr(path->leaf, '/'))
        return why_set(ret_why, -EPERM,
                       "you are deeper than one folder below the cgroup of %s, in a part of it "
                       "that is somebody else's to manage",
                       path->name);
    return 0;
}

int peer_unit_find(int socket, const struct peer *peer, const struct cgroup_host *host,
                   struct peer_unit *ret, char **ret_why)
{
    CLEANUP(peer_unit_deinit) struct peer_unit unit = PEER_UNIT_INIT;
    AUTO_FREE char *text = NULL, *folder = NULL;
    struct unit_path path;
    const char *why;
    int r;

    if (peer->uid != 0)
        return why_set(ret_why, -EPERM, "only root has units of its own to put an agent into");
    r = read_cgroup(socket, peer, &text, ret_why);
    if (r < 0)
        return r;
    const char *in_proc = unit_path_from_proc(text);
    if (!in_proc || unit_path_parse(in_proc, &path, &why) < 0)
        return why_set(ret_why, -EPERM, "the process that asks must be in a systemd service: %s",
                       in_proc ? why : "this host has no cgroup v2");
    if (asprintf(&folder, "%s%.*s", host->mount, (int)path.folder_length, in_proc) < 0) {
        folder = NULL;
        return -ENOMEM;
    }
    if (streq(folder, host->unified))
        return why_set(ret_why, -EPERM, "%s is the daemon's own unit", path.name);
    r = check_folder(folder, path.name, ret_why);
    if (r >= 0)
        r = check_leaf(&path, ret_why);
    if (r < 0)
        return r;
    if (!holds_process(folder, path.leaf, peer->pid))
        return why_set(ret_why, -EPERM, "process %d is not in %s/%s", peer->pid, folder, path.leaf);
    r = cgroup_host_init_unit(&unit.host, host, folder, ret_why);
    if (r < 0)
        return r;
    unit.name = strdup(path.name);
    if (!unit.name)
        return -ENOMEM;
    *ret = unit;
    unit = PEER_UNIT_INIT;
    return 0;
}

void peer_unit_deinit(struct peer_unit *unit)
{
    free(unit->name);
    cgroup_host_deinit(&unit->host);
    *unit = PEER_UNIT_INIT;
}
