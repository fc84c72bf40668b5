/* What an agent may be given to reach while it runs: the one place that is asked for each entry.
 * Today it is what a card of its owner may list. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "host-pattern.h"

enum host_list { HOST_LIST_ALLOWED, HOST_LIST_DENIED };

/* Whether an agent of this owner may have the entry in that list: 0 with the parsed pattern, or
 * -EINVAL with *ret_why, a static sentence. Pure. */
int host_ceiling_check(uid_t owner, enum host_list list, const char *text, struct host_pattern *ret,
                       const char **ret_why);
