/* A JSON object held against a table of its keys: what each may hold, which parser takes it, and a
 * fault that names the key, what was found and what was expected. The walk of the card and of the
 * site policy. Pure but for allocation. */
#pragma once

#include <jansson.h>

#include "card.h"
#include "json-text.h"

struct json_walk {
    void *object;             /* what the parsers of the rows fill, by their offset */
    const char *document;     /* "the card": for hints */
    struct card_error *error; /* filled by json_walk_refuse */
    char path[sizeof(((struct card_error *)NULL)->path)]; /* of the value that is looked at */
};

struct json_key {
    const char *name;
    json_type type; /* JSON_STRING, _INTEGER, _ARRAY, _OBJECT or _TRUE: checked before `parse` */
    bool required;
    bool secret; /* what was found is told by its kind only */
    const char *expected;
    int (*parse)(struct json_walk *w, const struct json_key *key, const json_t *value);
    size_t offset; /* of what `parse` fills, in the walk's object */
    uint64_t min;  /* for JSON_INTEGER, where `expected` is the unit */
    uint64_t max;
    uint64_t fallback;
};

#define JSON_FIELD(w, key, type) ((type *)(void *)((char *)(w)->object + (key)->offset))

/* Text to JSON: at most `size_max` bytes and `nesting_max` levels. 0 with a new reference; -EINVAL
 * with the error, and *ret_fault where the text is no strict JSON (its line is 0 otherwise);
 * -ENOMEM. */
int json_walk_text(struct json_walk *w, const char *text, size_t size, size_t size_max,
                   unsigned nesting_max, json_t **ret, struct json_text_error *ret_fault);

/* Checks each key of an object against its row and runs the row's parser, in document order; then
 * looks for required keys that are missing. 0, -EINVAL with the error, or what a parser says. */
int json_walk_object(struct json_walk *w, const json_t *object, const struct json_key *keys,
                     size_t n_keys);

/* Fill the error and return -EINVAL. json_walk_refuse tells `found`; json_walk_refuse_value
 * describes the value, and unless it is a secret shows it. */
int json_walk_refuse(struct json_walk *w, const char *found, const char *expected_format, ...)
    PRINTF_LIKE(3, 4);
int json_walk_refuse_value(struct json_walk *w, const json_t *value, bool secret,
                           const char *expected_format, ...) PRINTF_LIKE(4, 5);

/* -- parsers of rows that any table may have -- */
int json_walk_integer(struct json_walk *w, const struct json_key *key, const json_t *value);
int json_walk_boolean(struct json_walk *w, const struct json_key *key, const json_t *value);
int json_walk_ignored(struct json_walk *w, const struct json_key *key, const json_t *value);

/* For a parser of an array of strings, `key->max` at most, into the struct string_list at the row's
 * offset: `fault` says what is wrong with one, or NULL; `expected` is what each should be. With
 * `unique` none may stand there twice. */
int json_walk_strings(struct json_walk *w, const struct json_key *key, const json_t *value,
                      const char *expected, const char *(*fault)(const char *text), bool unique);
