/* The two lists of patterns that can be changed while an agent runs, and what a change makes of
 * them. Pure but for allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "card.h"
#include "site-policy.h"

struct host_lists {
    struct string_list allowed, denied; /* patterns of common/host-pattern.h, CARD_HOSTS_MAX each */
};

void host_lists_deinit(struct host_lists *lists);

/* Entries for allowed_hosts and for denied_hosts, as a caller wrote them. */
struct host_change {
    const struct string_list *allow, *deny;  /* borrowed */
    const struct string_list *private_hosts; /* of the agent's card; NULL: none */
};

/* Why a change is refused: the entry `index` of "allow" or "deny", or a list that would have more
 * than CARD_HOSTS_MAX entries. */
struct host_change_fault {
    const char
        *list; /* "allow", "deny"; "allowed_hosts", "denied_hosts" for one that is too long */
    size_t index;
    struct card_error error; /* `found` and `expected` of that entry */
};

/* `allow` is added to what is allowed and taken out of what is denied, `deny` the other way round.
 * Entries are the same if they stand for the same hosts and ports, however they are written and
 * whatever their options are; of two such in a list the newer stays, in the place of the older.
 * `rule` is the agent's, for host_ceiling_check*(). 0 with lists for host_lists_deinit(); -EINVAL,
 * -EPERM (over the rule) or -E2BIG with *ret_fault; -ENOMEM. */
int host_lists_change(const struct host_lists *now, const struct host_change *change,
                      const struct policy_rule *rule, struct host_lists *ret,
                      struct host_change_fault *ret_fault);
