/* The totals of the owners of live agents: from the rules of the policy into their cgroups
 * (cgroup-owner.h), at each spawn and when the policy changes. */
#pragma once

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "agent/agent-problem.h"
#include "cgroup/cgroup-owner.h"

struct manager;

struct owner_total {
    LIST_ENTRY(owner_total) entry;
    struct cgroup_owner owner;
    bool kept; /* its folder: cgroup-kept.h */
};

struct owner_totals {
    LIST_HEAD(, owner_total) list; /* of those that have one, or had */
    sd_event_source *timer;        /* enabled while one is above its total, or kept */
};

/* Before an agent's cgroup is made: has the total of its owner's rule in force, and room left in
 * it for the agent. In a systemd unit it would not count: a rule with a total refuses that. -EBUSY
 * or -ENOTSUP with *ret_problem, or another -errno. */
int owner_total_admit(struct manager *manager, uid_t owner, const struct policy_rule *rule,
                      bool in_unit, struct agent_problem *ret_problem);

/* When the policy has changed: puts in force the totals of the rules that the agents have now; of
 * an owner's that of the agent that came last. Without a rule, or where it fails, which is logged,
 * the total that an owner had stays. */
void owner_totals_change(struct manager *manager);

/* What is in force for an owner; NULL: no total. */
const struct cgroup_owner *owner_total_find(const struct manager *manager, uid_t owner);

/* Whether one task more of this owner's is within the total. */
bool owner_total_has_task(const struct manager *manager, uid_t owner);

/* An agent's processes have ended; for before its cgroup is removed. If it was its owner's last,
 * and processes outside hold memory of its, the owner's folder is kept until they do not. */
void owner_total_leave(struct manager *manager, uid_t owner);

void owner_totals_deinit(struct manager *manager);
