/* The last items of a stream, of which nobody knows how long it will be: a ring that grows up to
 * its bound. Pure but for allocation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct last_items {
    uint64_t max;     /* so many are kept at most */
    size_t item_size; /* of any struct that may be moved, and whose zeroes are an empty one */
    void (*deinit)(void *item);
    char *items;
    size_t first, count, allocated;
};

/* Takes the item over, and leaves an empty one: 0; -ENOMEM, and it is still the caller's. */
int last_items_keep(struct last_items *last, void *item);

/* One of the `count` that are kept, from 0 for the oldest. Borrowed. */
void *last_items_get(const struct last_items *last, size_t i);

void last_items_deinit(struct last_items *last);
