/* The totals of the owners of live agents. */
#include "cgroup/owner-total.h"

#include <stdio.h>

#include "agent/agent.h"
#include "cgroup/cgroup-kept.h"
#include "log.h"
#include "manager.h"

#define LOWER_USEC (200 * 1000)     /* between two steps */
#define LOOK_USEC (2 * 1000 * 1000) /* where there was nothing to gain */

static struct owner_total *find(const struct manager *manager, uid_t owner)
{
    struct owner_total *total;

    LIST_FOREACH (total, &manager->totals.list, entry)
        if (total->owner.uid == owner)
            return total;
    return NULL;
}

const struct cgroup_owner *owner_total_find(const struct manager *manager, uid_t owner)
{
    const struct owner_total *total = find(manager, owner);

    return total ? &total->owner : NULL;
}

static void forget(struct owner_total *total)
{
    LIST_REMOVE(total, entry);
    cgroup_owner_deinit(&total->owner);
    free(total);
}

static size_t count_agents(const struct manager *manager, uid_t owner)
{
    const struct agent *agent;
    size_t n = 0;

    TAILQ_FOREACH (agent, &manager->live, entry)
        n += agent->owner == owner;
    return n;
}

/* Those whose agents have all ended: their folders went with the last of them, or go now. */
static void forget_absent(struct manager *manager)
{
    struct owner_total *total, *next;

    for (total = LIST_FIRST(&manager->totals.list); total; total = next) {
        next = LIST_NEXT(total, entry);
        if (count_agents(manager, total->owner.uid) > 0 ||
            (total->kept && cgroup_kept_is_needed(&manager->cgroups, total->owner.uid)))
            continue;
        if (total->kept)
            cgroup_kept_remove(&manager->cgroups, total->owner.uid);
        forget(total);
    }
}

void owner_totals_deinit(struct manager *manager)
{
    struct owner_totals *totals = &manager->totals;
    struct owner_total *total;

    while ((total = LIST_FIRST(&totals->list))) {
        if (total->kept)
            cgroup_kept_remove(&manager->cgroups, total->owner.uid);
        forget(total);
    }
    totals->timer = sd_event_source_disable_unref(totals->timer);
}

/* -- down to a total that is less than what is in use -- */

static int on_lower(sd_event_source *source, uint64_t usec, void *user)
{
    struct manager *manager = user;
    struct owner_total *total;
    bool above = false, lower = false, kept = false;

    forget_absent(manager);
    LIST_FOREACH (total, &manager->totals.list, entry) {
        kept = kept || total->kept;
        if (!total->owner.above)
            continue;
        lower = cgroup_owner_lower(&manager->cgroups, &total->owner) || lower;
        above = above || total->owner.above;
    }
    if ((above || kept) &&
        sd_event_source_set_time_relative(source, lower ? LOWER_USEC : LOOK_USEC) >= 0)
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    manager->totals.timer = sd_event_source_disable_unref(manager->totals.timer);
    return 0;
}

static void start_lowering(struct manager *manager)
{
    struct owner_totals *totals = &manager->totals;

    if (totals->timer) /* who spawns without pause must not put it off */
        return;
    int r = sd_event_add_time_relative(manager->event, &totals->timer, CLOCK_MONOTONIC, LOWER_USEC,
                                       0, on_lower, manager);
    if (r < 0) /* what is in force is no more than what was in use */
        log_warning("the total of an owner cannot be lowered further: %s", strerror(-r));
}

/* -- what is held outside -- */

void owner_total_leave(struct manager *manager, uid_t owner)
{
    struct owner_total *total = find(manager, owner);

    if (!total || total->kept || count_agents(manager, owner) > 1 ||
        (total->owner.total.memory_mb == 0 && total->owner.total.memory_percent == 0) ||
        !cgroup_kept_is_needed(&manager->cgroups, owner))
        return;
    int r = cgroup_kept_make(&manager->cgroups, owner);
    if (r < 0) {
        log_warning("the cgroup of uid %u, whose memory is still held, cannot be kept: %s", owner,
                    strerror(-r));
        return;
    }
    total->kept = true;
    start_lowering(manager);
}

/* -- the totals of rules -- */

static bool is_limited(const struct policy_total *total)
{
    return total->memory_mb > 0 || total->memory_percent > 0 || total->max_processes > 0;
}

static struct owner_total *add(struct manager *manager, uid_t owner)
{
    struct owner_total *total = malloc(sizeof(*total));

    if (!total)
        return NULL;
    *total = (struct owner_total){.owner.uid = owner};
    LIST_INSERT_HEAD(&manager->totals.list, total, entry);
    return total;
}

static int put_in_force(struct manager *manager, uid_t owner, const struct policy_total *wanted,
                        char **ret_why)
{
    struct owner_total *total = find(manager, owner);

    if (!total && !is_limited(wanted))
        return 0;
    if (!total)
        total = add(manager, owner);
    if (!total)
        return -ENOMEM;
    int r = cgroup_owner_limit(&manager->cgroups, &total->owner, wanted, ret_why);
    if (r >= 0 && total->owner.above)
        start_lowering(manager);
    return r;
}

static int refuse_full(const char *limit, uint64_t maximum, const char *rule,
                       struct agent_problem *problem)
{
    char text[sizeof(problem->step)];

    (void)snprintf(text, sizeof(text), "%s of one user by the rule \"%s\"", limit, rule);
    (void)agent_problem_set(problem, FAILURE_BUSY, -EBUSY, text,
                            "the agents of this user have it all");
    problem->error = (int)MIN_OF(maximum, (uint64_t)INT32_MAX);
    return -EBUSY;
}

static int refuse_unit(struct agent_problem *problem)
{
    return agent_problem_set(problem, FAILURE_SUPPORT, -ENOTSUP, "total",
                             "the total of its owner cannot be enforced: an agent in a systemd "
                             "unit is not in its owner's cgroup");
}

int owner_total_admit(struct manager *manager, uid_t owner, const struct policy_rule *rule,
                      bool in_unit, struct agent_problem *ret_problem)
{
    AUTO_FREE char *why = NULL;
    uint64_t maximum = 0;
    const char *full = NULL;

    forget_absent(manager);
    if (in_unit)
        return is_limited(&rule->total) ? refuse_unit(ret_problem) : 0;
    int r = put_in_force(manager, owner, &rule->total, &why);
    const struct cgroup_owner *limited = owner_total_find(manager, owner);
    if (r >= 0 && limited)
        full = cgroup_owner_is_full(&manager->cgroups, limited, &maximum);
    if (full)
        r = refuse_full(full, maximum, rule->name, ret_problem);
    if (why)
        (void)agent_problem_set(ret_problem, FAILURE_SUPPORT, r, "total", "%s", why);
    if (r < 0) {
        cgroup_owner_leave(&manager->cgroups, owner);
        forget_absent(manager);
    }
    return r;
}

/* Whether another agent of its owner's came after it. */
static bool has_younger(const struct agent *agent)
{
    const struct agent *younger = agent;

    while ((younger = TAILQ_NEXT(younger, entry)))
        if (younger->owner == agent->owner)
            return true;
    return false;
}

void owner_totals_change(struct manager *manager)
{
    const struct agent *agent;

    TAILQ_FOREACH (agent, &manager->live, entry) {
        AUTO_FREE char *why = NULL;
        if (!agent->rule || has_younger(agent))
            continue;
        int r = put_in_force(manager, agent->owner, &agent->rule->total, &why);
        if (r < 0)
            log_error("the total of uid %u by the rule \"%s\" is not in force: %s", agent->owner,
                      agent->rule->name, why ? why : strerror(-r));
    }
}

bool owner_total_has_task(const struct manager *manager, uid_t owner)
{
    const struct cgroup_owner *limited = owner_total_find(manager, owner);

    return !limited || cgroup_owner_has_task(&manager->cgroups, limited);
}
