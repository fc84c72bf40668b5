/* The agents' and their gates' control groups: cgroup v2 and, where a controller is still bound to
 * a v1 hierarchy (hybrid hosts), that hierarchy as well. v2 always serves for birth
 * (CLONE_INTO_CGROUP) and death (cgroup.kill). Kernel: Documentation/admin-guide/cgroup-v2.rst and
 * cgroup-v1/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "card.h"

enum cgroup_controller {
    CGROUP_MEMORY,
    CGROUP_CPU,
    CGROUP_PIDS,
    CGROUP_IO, /* of v2 alone: v1's is blkio, which does not see what is written back later */
    CGROUP_CONTROLLER_COUNT,
};

const char *cgroup_controller_to_string(enum cgroup_controller controller);

/* Where this host keeps its hierarchies; found once at start. */
struct cgroup_host {
    char *mount;   /* where the v2 hierarchy is */
    char *unified; /* our folder in it */
    int lock_fd;   /* on that folder: it is this daemon's alone */
    bool unit;     /* the folder is a systemd unit's instead, for its own agent */
    struct {
        bool v1;
        char *base; /* our folder for this controller; NULL: the host has no such controller */
    } controllers[CGROUP_CONTROLLER_COUNT];
};

/* Finds the hierarchies and makes our folder in each: the daemon's own cgroup where systemd
 * delegated it (the daemon then moves itself into a leaf below), else `name` at the top. What an
 * earlier daemon left there is killed and removed. 0, -ENOTSUP with *ret_why (the caller's) if
 * there is no v2 hierarchy with cgroup.kill, or -errno. */
int cgroup_host_init(struct cgroup_host *host, const char *name, char **ret_why);

/* The same for a unit's folder, where systemd's limits are v2's: -ENOTSUP with *ret_why where this
 * host has controllers on v1. Nothing is made there yet. */
int cgroup_host_init_unit(struct cgroup_host *ret, const struct cgroup_host *host,
                          const char *folder, char **ret_why);

/* Removes our folders, which are empty by then. Fine after a failed init; never before init. */
void cgroup_host_deinit(struct cgroup_host *host);

#define CGROUP_APPLIED_MAX 24
#define CGROUP_WRITTEN_MAX 64

struct cgroup_applied {
    const char *limit; /* static: the card's key, or what it implies */
    uint64_t value;    /* as the card has it */
    enum cgroup_controller controller;
    char *file;
    char written[CGROUP_WRITTEN_MAX];
    bool late; /* in force from cgroup_slow() on */
};

/* The cgroups of one agent, or of its gate. */
struct cgroup {
    char *unified;
    int unified_fd;
    char *folders[CGROUP_CONTROLLER_COUNT]; /* NULL where the controller is on v2 */
    int tasks[CGROUP_CONTROLLER_COUNT];     /* their `tasks` files, for processes to join by */
    struct cgroup_applied applied[CGROUP_APPLIED_MAX];
    size_t n_applied;
    bool slowed;            /* by a limit of processor time or of the disk: see cgroup_ease */
    bool in_unit;           /* in a systemd unit's folder, which stays */
    bool was_killed;        /* nothing can be born into it any more: see cgroup_kill */
    uint64_t unit_refusals; /* tasks that were over that unit's own limit before this agent */
};

#define CGROUP_INIT                                                                                \
    ((struct cgroup){.unified_fd = -EBADF, .tasks = {-EBADF, -EBADF, -EBADF, -EBADF}})

/* Makes `owner-UID/agent-ID` everywhere, or `agent-ID` in a unit's folder, and writes the limits;
 * those of the disk are for the one that `workspace` (st_dev) is on. -ENOTSUP with *ret_why (the
 * limit and the reason) if one cannot be enforced; nothing is left behind on failure. What an
 * earlier daemon left in a unit's folder is killed and removed; -EBUSY with *ret_why while it has
 * not ended yet, or while processes are in the unit's folder itself. *ret_why is the caller's. */
int cgroup_make(const struct cgroup_host *host, uid_t owner, const char *agent_id,
                const struct card_limits *limits, dev_t workspace, struct cgroup *ret,
                char **ret_why);

/* Makes `owner-UID/gate-ID` beside the agent's for its gate: one process, GATE_CGROUP_MEMORY_MAX of
 * memory and no swap, and the processor weight `cpu_shares` of its agent. `host` is always the
 * daemon's own, also where the agent is in a unit's folder: what an operator sets for the unit is
 * for the agent, and systemd ends all that is in a unit's cgroup, while a gate ends when its last
 * records were taken. As cgroup_make. */
int cgroup_make_gate(const struct cgroup_host *host, uid_t owner, const char *agent_id,
                     uint64_t cpu_shares, struct cgroup *ret, char **ret_why);

/* Puts the quota of processor time in force, which would hold up the building of the cage, and with
 * it, since that takes locks of the kernel that all share, others: for when the agent runs. That it
 * can be had is known from cgroup_make. 0 or -errno. */
int cgroup_slow(const struct cgroup *cgroup);

/* Takes away what slows an agent down (cpu.max, io.max): a process that is to end, and writes that
 * are still on their way, would be held up by it, and with them whoever waits for the same file
 * system. For agents that are ending. */
void cgroup_ease(const struct cgroup *cgroup);

/* SIGKILL to all that is in a v2 folder, if it is there. */
void cgroup_folder_kill(const char *path);

/* SIGKILL to every process in it, at once (cgroup.kill), and cgroup_ease. 0 or -errno. From then on
 * processes may join it, but none may be born into it (CLONE_INTO_CGROUP): there are kernels, as
 * 6.18, that kill each of these. */
int cgroup_kill(struct cgroup *cgroup);

/* How often the kernel killed for want of memory, and refused a task over the limit: the card's or
 * the unit's. 0 if unknown. */
uint64_t cgroup_count_oom_kills(const struct cgroup *cgroup);
uint64_t cgroup_count_task_refusals(const struct cgroup *cgroup);

/* Removes the folders (every process must be gone); the list of limits stays. Returns the first
 * failure, but goes through with it. Fine on a half-made or empty one. */
int cgroup_remove(struct cgroup *cgroup);

/* Frees what is left of a removed one. */
void cgroup_deinit(struct cgroup *cgroup);

/* -- private to cgroup*.c -- */

/* Writes the limits of a card into the folders of `cgroup` and lists them in it. As cgroup_make. */
int cgroup_limit(const struct cgroup_host *host, struct cgroup *cgroup,
                 const struct card_limits *limits, dev_t workspace, char **ret_why);

/* cgroup_ease for one folder of any hierarchy. */
void cgroup_folder_ease(const char *path);
