/* Inside of the card's validator: the parsers behind the rows of its tables (json-walk.h), and the
 * rows of its limits, which a site policy has too. */
#pragma once

#include "json-walk.h"

/* The card that a walk fills. */
#define CARD(w) ((struct card *)(w)->object)

/* The keys of resource_limits, with offsets into struct card_limits. */
extern const struct json_key card_limit_keys[CARD_LIMIT_COUNT];

#define CARD_PATH_EXPECTED                                                                         \
    "an absolute path of " STRINGIFY(                                                              \
        CARD_PATH_MAX) " bytes at most, other than \"/\", without \"..\", \".\", double "          \
                       "slashes and control characters"

/* -- the parsers of the rows -- */
int card_parse_name(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_path(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_user(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_mounts(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_command(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_provider(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_proxy(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_allowed_hosts(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_private_hosts(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_denied_hosts(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_environment(struct json_walk *w, const struct json_key *key, const json_t *value);
int card_parse_protect(struct json_walk *w, const struct json_key *key, const json_t *value);
