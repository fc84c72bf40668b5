/* Which of the agents that ended are remembered. */
#include "agent/ended-agents.h"

#include "agent/agent.h"
#include "agent/owner-counts.h"
#include "caged-limits.h"

static bool can_be_forgotten(const struct agent *agent)
{
    return LIST_EMPTY(&agent->watches.head) && log_agent_is_written(agent->log);
}

static void forget(struct manager *manager, struct owner_counts *counts, struct agent *agent)
{
    owner_counts_find(counts, agent->owner)->n--;
    counts->n_all--;
    TAILQ_REMOVE(&manager->ended, agent, entry);
    agent_free(agent);
}

static void forget_of_owner(struct manager *manager, struct owner_counts *counts, uid_t owner)
{
    const struct owner_count *count = owner_counts_find(counts, owner);
    struct agent *agent, *next;

    for (agent = TAILQ_FIRST(&manager->ended); agent && count->n > AGENTS_ENDED_KEPT;
         agent = next) {
        next = TAILQ_NEXT(agent, entry);
        if (agent->owner == owner && can_be_forgotten(agent))
            forget(manager, counts, agent);
    }
}

/* The oldest of who has the most, but more than `share`; NULL if there is none. */
static struct agent *find_of_all(const struct manager *manager, const struct owner_counts *counts,
                                 size_t share)
{
    struct agent *agent, *found = NULL;
    size_t most = share;

    TAILQ_FOREACH (agent, &manager->ended, entry) {
        size_t n = owner_counts_find(counts, agent->owner)->n;
        if (n <= most || !can_be_forgotten(agent))
            continue;
        found = agent;
        most = n;
    }
    return found;
}

static void forget_of_all(struct manager *manager, struct owner_counts *counts)
{
    const size_t share = AGENTS_ENDED_KEPT_ALL / MAX_OF(counts->n, (size_t)1);
    struct agent *agent;

    while (counts->n_all > AGENTS_ENDED_KEPT_ALL && (agent = find_of_all(manager, counts, share)))
        forget(manager, counts, agent);
}

void ended_agents_forget(struct manager *manager, uid_t owner)
{
    struct owner_counts counts = {};

    /* Without memory they are forgotten when the next one ends. */
    if (owner_counts_add(&counts, &manager->ended) >= 0) {
        forget_of_owner(manager, &counts, owner);
        forget_of_all(manager, &counts);
    }
    owner_counts_deinit(&counts);
}
