/* Typed fields of JSON objects that the daemon sent. cagectl does not trust blindly either: a
 * field of another type than the interface says is an error of the protocol, not a NULL. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Required fields: 0 or -EPROTO (missing, null, another type). What is returned is borrowed. */
int field_string(const json_t *object, const char *key, const char **ret);
int field_u64(const json_t *object, const char *key, uint64_t *ret);     /* an integer >= 0 */
int field_decimal(const json_t *object, const char *key, uint64_t *ret); /* one in a string */
int field_array(const json_t *object, const char *key, json_t **ret);
int field_object(const json_t *object, const char *key, json_t **ret);

/* Optional ones: the same, but 0 with *ret untouched where the field is missing or null. */
int field_string_optional(const json_t *object, const char *key, const char **ret);
int field_u64_optional(const json_t *object, const char *key, uint64_t *ret);
int field_bool_optional(const json_t *object, const char *key, bool *ret);
