/* What differs between two cards: for a running agent whose card was changed. Pure but for
 * allocation. */
#pragma once

#include "card.h"

/* The JSON paths of all that differs, defaults filled in, in the order of caged.card(5): each limit
 * and each variable by itself ("$.resource_limits.memory_mb", "$.environment.CI"), lists as a
 * whole. No value is told. New reference to an array of strings, NULL without memory. */
json_t *card_diff(const struct card *a, const struct card *b);
