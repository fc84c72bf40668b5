/* How much of their output the agents' rings may keep in memory. */
#include "ring-shares.h"

#include "agent.h"
#include "caged-limits.h"
#include "manager.h"

struct count {
    uid_t owner;
    size_t n;
};

struct counts {
    struct count *items; /* one for each owner */
    size_t n, n_all;
};

static struct count *find(const struct counts *counts, uid_t owner)
{
    for (size_t i = 0; i < counts->n; i++)
        if (counts->items[i].owner == owner)
            return &counts->items[i];
    return NULL;
}

static int count_list(const struct agent_list *list, struct counts *counts)
{
    const struct agent *agent;

    TAILQ_FOREACH (agent, list, entry) {
        struct count *count = find(counts, agent->owner);
        if (!count) {
            struct count *more = reallocarray(counts->items, counts->n + 1, sizeof(*more));
            if (!more)
                return -ENOMEM;
            counts->items = more;
            count = &more[counts->n++];
            *count = (struct count){.owner = agent->owner};
        }
        count->n++;
        counts->n_all++;
    }
    return 0;
}

static void bound_list(const struct agent_list *list, const struct counts *counts)
{
    const size_t of_all = AGENT_RINGS_MAX / MAX_OF(counts->n_all, (size_t)1);
    struct agent *agent;

    TAILQ_FOREACH (agent, list, entry) {
        size_t of_owner = AGENT_RINGS_PER_UID_MAX / find(counts, agent->owner)->n;
        size_t part = MIN_OF(MIN_OF(of_owner, of_all), (size_t)AGENT_RING_SIZE);
        ring_set_bound(agent->ring, MAX_OF(part, (size_t)AGENT_RING_SIZE_MIN));
    }
}

void ring_shares_update(struct manager *manager)
{
    struct counts counts = {};

    /* Without memory the bounds stay as they are, until the next agent comes or goes. */
    if (count_list(&manager->live, &counts) >= 0 && count_list(&manager->ended, &counts) >= 0) {
        bound_list(&manager->live, &counts);
        bound_list(&manager->ended, &counts);
    }
    free(counts.items);
}
