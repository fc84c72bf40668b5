/* Inside of the policy's validator: the parsers behind the rows of its lists (json-walk.h). For
 * site-policy-parse.c and site-policy-values.c alone. */
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
