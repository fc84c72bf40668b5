/* What an agent may be given to reach while it runs: the one place that is asked for each entry. It
 * is what its owner's rule allows in the site policy that is in force; there may be none any more
 * (NULL), and then nothing is added. To deny is always possible. */
#pragma once

#include "host-pattern.h"
#include "site-policy.h"

enum host_list { HOST_LIST_ALLOWED, HOST_LIST_DENIED };

/* Whether an agent of this rule may have the entry in that list: 0 with the parsed pattern, -EINVAL
 * if it is no such entry, or -EPERM if it is over the rule; with `found` and `expected` of
 * *ret_error. */
int host_ceiling_check(const struct policy_rule *rule, enum host_list list, const char *text,
                       struct host_pattern *ret, struct card_error *ret_error);

/* Whether the rule lets the agent have the entry beside what its card has in private_hosts: it came
 * by an earlier policy perhaps, and what is allowed now must not lead to where only that one
 * consented. `text` is the entry as it was written. 0, or -EPERM likewise. */
int host_ceiling_check_private(const struct policy_rule *rule,
                               const struct string_list *private_hosts, const char *text,
                               const struct host_pattern *entry, struct card_error *ret_error);

/* The same for the lists of a card whose hosts an agent with this provider is to get. 0, or -EPERM
 * with *ret_error; -ENOMEM. */
int host_ceiling_check_card(const struct policy_rule *rule, const struct card *card,
                            enum api_provider provider, struct card_error *ret_error);
