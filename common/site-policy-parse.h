/* Inside of the policy's validator: the parsers behind the rows of its lists (json-walk.h), and
 * what fills in the keys that are left out. For site-policy-parse.c, site-policy-values.c and
 * site-policy-default.c alone. */
#pragma once

#include "card-parse.h"
#include "site-policy.h"

int policy_parse_users(struct json_walk *w, const struct json_key *key, const json_t *value);
int policy_parse_groups(struct json_walk *w, const struct json_key *key, const json_t *value);
int policy_parse_roots(struct json_walk *w, const struct json_key *key, const json_t *value);
int policy_parse_file_systems(struct json_walk *w, const struct json_key *key, const json_t *value);
int policy_parse_variables(struct json_walk *w, const struct json_key *key, const json_t *value);
int policy_parse_words(struct json_walk *w, const struct json_key *key, const json_t *value);
int policy_parse_hosts(struct json_walk *w, const struct json_key *key, const json_t *value);

/* -EINVAL with the error for an empty array, else 0. */
int policy_refuse_empty(struct json_walk *w, const struct json_key *key, const json_t *value);

/* site-policy-default.c: the numbers and flags that a rule has before its keys are parsed; and
 * after that the lists that it does not have, with the patterns of all of its hosts, which were
 * found good. 0 or -ENOMEM. */
void policy_rule_set_numbers(struct policy_rule *rule);
int policy_rule_set_lists(struct policy_rule *rule, const json_t *json);
