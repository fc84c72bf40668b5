/* Inside of the card's validator: the state of one run, how a fault is told, and the row that says
 * what a key may hold. For card-parse.c and card-values.c alone. */
#pragma once

#include "card.h"

struct card_parser {
    struct card *card;
    struct card_error *error;                             /* filled by card_refuse */
    char path[sizeof(((struct card_error *)NULL)->path)]; /* of the value that is looked at */
};

struct card_key {
    const char *name;
    json_type type; /* JSON_STRING, _INTEGER, _ARRAY or _OBJECT: checked before `parse` */
    bool required;
    bool secret; /* what was found is told by its kind only */
    const char *expected;
    int (*parse)(struct card_parser *p, const struct card_key *key, const json_t *value);
    size_t offset; /* of what `parse` fills, in struct card */
    uint64_t min;  /* for JSON_INTEGER, where `expected` is the unit */
    uint64_t max;
    uint64_t fallback;
};

#define CARD_FIELD(p, key, type) ((type *)(void *)((char *)(p)->card + (key)->offset))

/* Fill the error and return -EINVAL. card_refuse tells `found`; card_refuse_value describes the
 * value, and unless it is a secret shows it. */
int card_refuse(struct card_parser *p, const char *found, const char *expected_format, ...)
    PRINTF_LIKE(3, 4);
int card_refuse_value(struct card_parser *p, const json_t *value, bool secret,
                      const char *expected_format, ...) PRINTF_LIKE(4, 5);

/* -- the parsers of the rows -- */
int card_parse_integer(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_boolean(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_name(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_path(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_user(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_command(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_provider(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_proxy(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_allowed_hosts(struct card_parser *p, const struct card_key *key,
                             const json_t *value);
int card_parse_private_hosts(struct card_parser *p, const struct card_key *key,
                             const json_t *value);
int card_parse_denied_hosts(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_environment(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_protect(struct card_parser *p, const struct card_key *key, const json_t *value);
int card_parse_ignored(struct card_parser *p, const struct card_key *key, const json_t *value);
