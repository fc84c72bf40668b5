/* The cgroups of an agent and of its gate: made, limited, joined, killed, counted, removed. */
#include "cgroup/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "caged-limits.h"
#include "cgroup/cgroup-file.h"
#include "fd-io.h"
#include "why.h"

/* UNIT/agent-ID. What is there already is of an agent whose daemon died. */
static int make_folder_in_unit(const char *unit, const char *agent_id, char **ret, char **ret_why)
{
    AUTO_FREE char *path = NULL;

    if (asprintf(&path, "%s/agent-%s", unit, agent_id) < 0)
        return -ENOMEM;
    if (mkdir(path, 0755) < 0) {
        if (errno != EEXIST)
            return negative_errno();
        cgroup_folder_kill(path);
        cgroup_folder_ease(path);
        if (rmdir(path) < 0 && errno == EBUSY)
            return why_set(ret_why, -EBUSY,
                           "%s is left over from an agent whose processes were killed just now; "
                           "try again when they have ended",
                           path);
        if (mkdir(path, 0755) < 0)
            return negative_errno();
    }
    *ret = TAKE_PTR(path);
    return 0;
}

/* base/owner-UID/NAME. The owner's folder is where the sum over an owner's agents and their gates
 * can be limited; it goes when its last one goes. */
static int make_folder(const char *base, uid_t owner, const char *name, char **ret)
{
    AUTO_FREE char *path = NULL;
    int r;

    if (asprintf(&path, "%s/owner-%u/%s", base, owner, name) < 0)
        return -ENOMEM;
    char *cut = strrchr(path, '/');
    *cut = 0;
    r = folder_make(path);
    *cut = '/';
    if (r < 0)
        return r;
    if (mkdir(path, 0755) < 0)
        return negative_errno();
    *ret = TAKE_PTR(path);
    return 0;
}

/* Controllers of v2 reach such a folder only if the folder above, the owner's or the unit's,
 * hands them on. */
static int hand_down(const struct cgroup_host *host, const char *folder)
{
    char path[PATH_MAX];
    const char *cut = strrchr(folder, '/');

    if (snprintf(path, sizeof(path), "%.*s/cgroup.subtree_control", (int)(cut - folder), folder) >=
        (int)sizeof(path))
        return -ENAMETOOLONG;
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return negative_errno();
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        char enable[16];
        if (host->controllers[c].v1 || !host->controllers[c].base)
            continue;
        (void)snprintf(enable, sizeof(enable), "+%s", cgroup_controller_to_string(c));
        if (write(fd, enable, strlen(enable)) < 0)
            return negative_errno();
    }
    return 0;
}

/* The descriptors through which processes enter. */
static int open_entrances(struct cgroup *cgroup)
{
    char path[PATH_MAX];

    cgroup->unified_fd = open(cgroup->unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroup->unified_fd < 0)
        return negative_errno();
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        if (!cgroup->folders[c])
            continue;
        if (snprintf(path, sizeof(path), "%s/tasks", cgroup->folders[c]) >= (int)sizeof(path))
            return -ENAMETOOLONG;
        cgroup->tasks[c] = open(path, O_WRONLY | O_CLOEXEC);
        if (cgroup->tasks[c] < 0)
            return negative_errno();
    }
    return 0;
}

/* The number behind `key ` at the start of a line. */
static uint64_t read_counter(const struct cgroup *cgroup, enum cgroup_controller controller,
                             const char *file, const char *key)
{
    char path[PATH_MAX];
    uint64_t number = 0;
    const char *folder =
        cgroup->folders[controller] ? cgroup->folders[controller] : cgroup->unified;

    if (snprintf(path, sizeof(path), "%s/%s", folder, file) < (int)sizeof(path))
        cgroup_file_read_keys(path, &key, 1, &number);
    return number;
}

/* Since Linux 6.11 a task that was over a limit counts where the limit is; before, where the task
 * was to be, that is in the agent's own folder (pids_event() in kernel/cgroup/pids.c). */
static uint64_t count_unit_refusals(const struct cgroup *cgroup)
{
    return cgroup->in_unit ? read_counter(cgroup, CGROUP_PIDS, "../pids.events", "max") : 0;
}

/* The folders of version 1, one for each controller that is there; two that are mounted together
 * share one. */
static int make_v1_folders(const struct cgroup_host *host, uid_t owner, const char *name,
                           struct cgroup *cgroup)
{
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        if (!host->controllers[c].v1)
            continue;
        int r = make_folder(host->controllers[c].base, owner, name, &cgroup->folders[c]);
        if (r == -EEXIST && asprintf(&cgroup->folders[c], "%s/owner-%u/%s",
                                     host->controllers[c].base, owner, name) < 0) {
            cgroup->folders[c] = NULL;
            return -ENOMEM;
        }
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return 0;
}

/* All that follows the v2 folder, which `cgroup` has unless `r` says that it failed. On failure
 * nothing stays. */
static int finish_making(const struct cgroup_host *host, uid_t owner, const char *name,
                         const struct card_limits *limits, dev_t workspace, struct cgroup *cgroup,
                         int r, char **ret_why)
{
    if (r >= 0)
        r = hand_down(host, cgroup->unified);
    if (r == -EBUSY && host->unit && !*ret_why) /* "no internal processes", cgroup-v2.rst */
        (void)why_set(ret_why, r,
                      "processes are in %s itself: they must be in folders of their own below it",
                      host->unified);
    if (r >= 0)
        r = make_v1_folders(host, owner, name, cgroup);
    if (r >= 0)
        r = cgroup_limit(host, cgroup, limits, workspace, ret_why);
    if (r >= 0)
        r = open_entrances(cgroup);
    if (r < 0) {
        (void)cgroup_remove(cgroup);
        cgroup_deinit(cgroup);
    }
    return r;
}

int cgroup_make(const struct cgroup_host *host, uid_t owner, const char *agent_id,
                const struct card_limits *limits, dev_t workspace, struct cgroup *ret,
                char **ret_why)
{
    struct cgroup cgroup = CGROUP_INIT;
    AUTO_FREE char *name = NULL;
    int r;

    if (asprintf(&name, "agent-%s", agent_id) < 0)
        return -ENOMEM;
    cgroup.in_unit = host->unit;
    r = host->unit ? make_folder_in_unit(host->unified, agent_id, &cgroup.unified, ret_why)
                   : make_folder(host->unified, owner, name, &cgroup.unified);
    r = finish_making(host, owner, name, limits, workspace, &cgroup, r, ret_why);
    if (r < 0)
        return r;
    cgroup.unit_refusals = count_unit_refusals(&cgroup);
    *ret = cgroup;
    return 0;
}

int cgroup_make_gate(const struct cgroup_host *host, uid_t owner, const char *agent_id,
                     uint64_t cpu_shares, struct cgroup *ret, char **ret_why)
{
    /* Of tasks none beside the one that cgroup-limits.c adds for caged-init. */
    const struct card_limits limits = {
        .memory_mb = GATE_CGROUP_MEMORY_MAX / (1024 * 1024),
        .cpu_shares = cpu_shares,
    };
    struct cgroup cgroup = CGROUP_INIT;
    AUTO_FREE char *name = NULL;

    if (asprintf(&name, "gate-%s", agent_id) < 0)
        return -ENOMEM;
    int r = make_folder(host->unified, owner, name, &cgroup.unified);
    r = finish_making(host, owner, name, &limits, 0, &cgroup, r, ret_why);
    if (r >= 0)
        *ret = cgroup;
    return r;
}

int cgroup_kill(struct cgroup *cgroup)
{
    AUTO_FD int fd = openat(cgroup->unified_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

    cgroup->was_killed = true;
    cgroup_ease(cgroup);
    if (fd < 0 || write(fd, "1", 1) < 0)
        return negative_errno();
    return 0;
}

uint64_t cgroup_count_oom_kills(const struct cgroup *cgroup)
{
    return read_counter(cgroup, CGROUP_MEMORY,
                        cgroup->folders[CGROUP_MEMORY] ? "memory.oom_control" : "memory.events",
                        "oom_kill");
}

uint64_t cgroup_count_task_refusals(const struct cgroup *cgroup)
{
    uint64_t own = read_counter(cgroup, CGROUP_PIDS, "pids.events", "max");
    uint64_t units = count_unit_refusals(cgroup);

    return MAX_OF(own, units > cgroup->unit_refusals ? units - cgroup->unit_refusals : 0);
}

/* Removes a folder and, if it was the last one in it, the owner's; a unit's is systemd's. */
static int remove_folder(char **path, bool in_unit)
{
    int r = 0;

    if (!*path)
        return 0;
    if (rmdir(*path) < 0 && errno != ENOENT)
        r = negative_errno();
    char *cut = strrchr(*path, '/');
    *cut = 0;
    if (!in_unit)
        (void)rmdir(*path);
    free(*path);
    *path = NULL;
    return r;
}

int cgroup_remove(struct cgroup *cgroup)
{
    int r;

    cgroup_ease(cgroup); /* what it wrote last may still be on its way to the disk */
    cgroup->unified_fd = fd_close(cgroup->unified_fd);
    r = remove_folder(&cgroup->unified, cgroup->in_unit);
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        cgroup->tasks[c] = fd_close(cgroup->tasks[c]);
        int q = remove_folder(&cgroup->folders[c], false);
        if (r >= 0)
            r = q;
    }
    return r;
}

void cgroup_deinit(struct cgroup *cgroup)
{
    for (size_t i = 0; i < cgroup->n_applied; i++)
        free(cgroup->applied[i].file);
    *cgroup = CGROUP_INIT;
}
