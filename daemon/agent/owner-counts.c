/* How many agents each owner has in some lists. */
#include "agent/owner-counts.h"

#include "agent/agent.h"

void owner_counts_deinit(struct owner_counts *counts)
{
    free(counts->items);
    *counts = (struct owner_counts){};
}

struct owner_count *owner_counts_find(const struct owner_counts *counts, uid_t owner)
{
    for (size_t i = 0; i < counts->n; i++)
        if (counts->items[i].owner == owner)
            return &counts->items[i];
    return NULL;
}

int owner_counts_add(struct owner_counts *counts, const struct agent_list *list)
{
    const struct agent *agent;

    TAILQ_FOREACH (agent, list, entry) {
        struct owner_count *count = owner_counts_find(counts, agent->owner);
        if (!count) {
            struct owner_count *more = reallocarray(counts->items, counts->n + 1, sizeof(*more));
            if (!more)
                return -ENOMEM;
            counts->items = more;
            count = &more[counts->n++];
            *count = (struct owner_count){.owner = agent->owner};
        }
        count->n++;
        counts->n_all++;
    }
    return 0;
}
