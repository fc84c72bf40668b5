/* The daemon's whole: what all agents share, and the agents themselves. */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "agent/refusal-log.h"
#include "agent/ring.h"
#include "cgroup/cgroup.h"
#include "cgroup/owner-total.h"
#include "network/airlock.h"
#include "network/netns.h"
#include "paths/own-folders.h"
#include "policy/spawn-rate.h"
#include "process/seccomp-set.h"
#include "process/uid-range.h"
#include "server/closer.h"
#include "server/history.h"
#include "server/peer-place.h"
#include "server/watch.h"
#include "util.h"

struct agent;
struct policy_store;
TAILQ_HEAD(agent_list, agent);

struct manager {
    sd_event *event;
    struct closer *closer; /* of descriptors that users sent */
    struct policy_store *policy;
    struct spawn_rate spawn_rate;
    const char *data_dir;
    struct own_folders own;
    gid_t group; /* whose members may use the daemon */
    bool have_group;
    gid_t journal_group; /* that may read the journal */
    bool have_journal_group;

    int null;            /* /dev/null */
    int init_executable; /* O_PATH */
    int gate_executable;
    int scan_executable;
    struct seccomp_set seccomp;
    struct uid_ranges ranges;
    struct cgroup_host cgroups;
    struct peer_places places;
    struct airlock *airlock;
    struct netns_stock *netns;
    uint64_t sweep_at[AGENTS_MAX]; /* when a slot's link is looked after once more; 0: never */
    sd_event_source *sweep_source; /* enabled while one is to be */

    struct agent_list live;      /* everything that still has something in the kernel */
    struct agent_list ended;     /* what is remembered, oldest first */
    struct agent_list condemned; /* what did not come to be, and has not ended yet: condemned.h */
    size_t n_live;

    struct owner_totals totals;

    struct history_list histories; /* under way */

    struct ring *events; /* tag: owner's uid; data: the event as JSON text */
    struct watch_list event_watches;
    struct refusal_logs refusals;
    bool shutting_down;
};

struct manager_options {
    const char *data_dir;
    const char *libexec_dir;
    const char *cgroup_name;
    const char *group_name;
    const char *policy; /* path */
    const char *socket; /* path */
};

/* 0 with a manager; on failure the reason is logged. `event` is referenced. */
int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret);

/* Every agent must have ended (manager_shutdown). */
struct manager *manager_free(struct manager *manager);
DEFINE_CLEANUP(struct manager, manager_free);

/* Stops every agent; the event loop exits when the last has ended. No agent can be spawned after.
 */
void manager_shutdown(struct manager *manager);

/* The agent of this owner and id: the live one, else the one that ended last, else NULL. */
struct agent *manager_find(struct manager *manager, uid_t owner, const char *agent_id);

/* How many agents an owner has, and all have together: those that live, and those that ended while
 * the log has not yet written all their entries, which take memory until then. */
size_t manager_count(const struct manager *manager, uid_t owner);
size_t manager_count_all(const struct manager *manager);

/* An agent joins the live ones, moves to the ended ones, or is freed; only agent code calls these.
 */
void manager_add(struct manager *manager, struct agent *agent);
void manager_retire(struct manager *manager, struct agent *agent);

/* A moment after the end of an agent that had this slot, its link is removed if it is still there.
 */
void manager_sweep_link(struct manager *manager, unsigned slot);
