/* Where on the host a peer is.
 *
 * A process is looked at by number, in /proc, and numbers are used again. So a pidfd is taken
 * first, then /proc is asked, then the pidfd is asked whether its process is still there (or at
 * least not yet waited for): if it is, the number was its own all the time. */
#include "server/peer-place.h"

#include <stdio.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "process/process.h"
#include "process/uid-range.h"
#include "unit-path.h"
#include "util.h"

#define PATH_SIZE 64
#define PROC_FILE_MAX 65536

static const char *const reasons[] = {
    [PEER_PLACE_HOST] = NULL,
    [PEER_PLACE_UNKNOWN] = "it cannot be told where you are: the process that connected has "
                           "ended, or cannot be asked for",
    [PEER_PLACE_CAGE] = "you are in a cage",
    [PEER_PLACE_SUBORDINATE] = "your uid is a subordinate one of another user's (/etc/subuid)",
    [PEER_PLACE_USER_NAMESPACE] =
        "you are in another user namespace than cagedd (a container's, or "
        "a sandbox's)",
    [PEER_PLACE_PID_NAMESPACE] =
        "you are in another PID namespace than cagedd (a container's, or a "
        "sandbox's)",
};
_Static_assert(ARRAY_SIZE(reasons) == PEER_PLACE_COUNT, "a place has no row");

const char *peer_place_reason(enum peer_place place)
{
    return reasons[place];
}

int peer_places_init(struct peer_places *places, const struct cgroup_host *cgroups)
{
    const char *cgroup = cgroups->unified ? cgroups->unified + strlen(cgroups->mount) : "";
    struct stat user, pid;

    if (stat("/proc/self/ns/user", &user) < 0 || stat("/proc/self/ns/pid", &pid) < 0)
        return negative_errno();
    *places = (struct peer_places){
        .user = {user.st_dev, user.st_ino},
        .pid = {pid.st_dev, pid.st_ino},
        .cgroup = strlen(cgroup) > 1 ? cgroup : NULL, /* all are below the root */
    };
    subordinate_uids_init(&places->subordinates, "/etc/subuid");
    return 0;
}

void peer_places_deinit(struct peer_places *places)
{
    subordinate_uids_deinit(&places->subordinates);
}

static bool is_uid_of_cages(uid_t uid)
{
    return uid >= UID_RANGE_FIRST && uid < uid_range_base(AGENTS_MAX);
}

/* 1 if the process is in this namespace, 0 if not, or -errno. */
static int is_in(pid_t pid, const char *kind, dev_t device, ino_t inode)
{
    char path[PATH_SIZE];
    struct stat st;

    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
    if (stat(path, &st) < 0)
        return negative_errno();
    return st.st_dev == device && st.st_ino == inode;
}

/* Whether its cgroup is that of a cage. What else is below the daemon's folder is of its service:
 * itself, and what systemd runs for ExecReload= (".control"). */
static int is_below(pid_t pid, const char *folder)
{
    AUTO_FREE char *text = NULL;
    char path[PATH_SIZE];
    size_t size;

    if (!folder)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    int r = file_read_all(path, PROC_FILE_MAX, &text, &size);
    if (r < 0)
        return r;
    const char *cgroup = unit_path_from_proc(text);
    return cgroup && has_prefix(cgroup, folder) && has_prefix(cgroup + strlen(folder), "/owner-");
}

static enum peer_place look(const struct peer_places *places, pid_t pid)
{
    int caged = is_below(pid, places->cgroup);
    int user = is_in(pid, "user", places->user.device, places->user.inode);
    int in_pid = is_in(pid, "pid", places->pid.device, places->pid.inode);

    if (caged < 0 || user < 0 || in_pid < 0)
        return PEER_PLACE_UNKNOWN;
    if (caged)
        return PEER_PLACE_CAGE;
    if (!user)
        return PEER_PLACE_USER_NAMESPACE;
    return in_pid ? PEER_PLACE_HOST : PEER_PLACE_PID_NAMESPACE;
}

/* What the numbers alone tell; PEER_PLACE_HOST if that is nothing. */
static enum peer_place look_at_uid(struct peer_places *places, uid_t uid)
{
    if (uid == 0)
        return PEER_PLACE_HOST;
    if (is_uid_of_cages(uid))
        return PEER_PLACE_CAGE;
    int r = subordinate_uids_have(&places->subordinates, uid);
    if (r == 0)
        return PEER_PLACE_HOST;
    return r < 0 ? PEER_PLACE_UNKNOWN : PEER_PLACE_SUBORDINATE;
}

static enum peer_place find(struct peer_places *places, int pidfd, pid_t pid, uid_t uid)
{
    enum peer_place place = look_at_uid(places, uid);

    if (place == PEER_PLACE_HOST && pid <= 0)
        place = PEER_PLACE_PID_NAMESPACE; /* it has no number here */
    else if (place == PEER_PLACE_HOST && pidfd < 0)
        place = PEER_PLACE_UNKNOWN;
    if (place == PEER_PLACE_HOST) {
        place = look(places, pid);
        if (process_signal(pidfd, 0) < 0)
            place = PEER_PLACE_UNKNOWN;
    }
    return place;
}

enum peer_place peer_place_of_connection(struct peer_places *places, int pidfd,
                                         const struct peer *peer)
{
    return find(places, pidfd, peer->pid, peer->uid);
}

enum peer_place peer_place_of_process(struct peer_places *places, pid_t pid, uid_t uid)
{
    AUTO_FD int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -ESRCH;

    return find(places, pidfd, pid, uid);
}
