/* How many agents each owner has in some lists. */
#pragma once

#include "manager.h"

struct owner_count {
    uid_t owner;
    size_t n;
};

/* All zero: nothing was counted. */
struct owner_counts {
    struct owner_count *items; /* one for each owner */
    size_t n, n_all;
};

/* Adds the agents of a list. 0 or -ENOMEM, with some counted. */
int owner_counts_add(struct owner_counts *counts, const struct agent_list *list);
void owner_counts_deinit(struct owner_counts *counts);

/* NULL for an owner of whom none was counted. */
struct owner_count *owner_counts_find(const struct owner_counts *counts, uid_t owner);
