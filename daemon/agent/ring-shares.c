/* How much of their output the agents' rings may keep in memory. */
#include "agent/ring-shares.h"

#include "agent/agent.h"
#include "agent/owner-counts.h"
#include "caged-limits.h"
#include "manager.h"

static void bound_list(const struct agent_list *list, const struct owner_counts *counts)
{
    const size_t of_all = AGENT_RINGS_MAX / MAX_OF(counts->n_all, (size_t)1);
    struct agent *agent;

    TAILQ_FOREACH (agent, list, entry) {
        size_t of_owner = AGENT_RINGS_PER_UID_MAX / owner_counts_find(counts, agent->owner)->n;
        size_t part = MIN_OF(MIN_OF(of_owner, of_all), (size_t)AGENT_RING_SIZE);
        ring_set_bound(agent->ring, MAX_OF(part, (size_t)AGENT_RING_SIZE_MIN));
    }
}

void ring_shares_update(struct manager *manager)
{
    struct owner_counts counts = {};

    /* Without memory the bounds stay as they are, until the next agent comes or goes. */
    if (owner_counts_add(&counts, &manager->live) >= 0 &&
        owner_counts_add(&counts, &manager->ended) >= 0) {
        bound_list(&manager->live, &counts);
        bound_list(&manager->ended, &counts);
    }
    owner_counts_deinit(&counts);
}
