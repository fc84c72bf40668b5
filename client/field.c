/* Typed fields of JSON objects that the daemon sent. */
#include "field.h"

#include "util.h"

static bool field_missing(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return !value || json_is_null(value);
}

int field_string(const json_t *object, const char *key, const char **ret)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return -EPROTO;
    *ret = json_string_value(value);
    return 0;
}

int field_u64(const json_t *object, const char *key, uint64_t *ret)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EPROTO;
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

int field_array(const json_t *object, const char *key, json_t **ret)
{
    json_t *value = json_object_get(object, key);

    if (!json_is_array(value))
        return -EPROTO;
    *ret = value;
    return 0;
}

int field_object(const json_t *object, const char *key, json_t **ret)
{
    json_t *value = json_object_get(object, key);

    if (!json_is_object(value))
        return -EPROTO;
    *ret = value;
    return 0;
}

int field_string_optional(const json_t *object, const char *key, const char **ret)
{
    return field_missing(object, key) ? 0 : field_string(object, key, ret);
}

int field_u64_optional(const json_t *object, const char *key, uint64_t *ret)
{
    return field_missing(object, key) ? 0 : field_u64(object, key, ret);
}

int field_bool_optional(const json_t *object, const char *key, bool *ret)
{
    const json_t *value = json_object_get(object, key);

    if (field_missing(object, key))
        return 0;
    if (!json_is_boolean(value))
        return -EPROTO;
    *ret = json_is_true(value);
    return 0;
}

int field_decimal(const json_t *object, const char *key, uint64_t *ret)
{
    const char *text;
    uint64_t n = 0;

    if (field_string(object, key, &text) < 0 || !*text)
        return -EPROTO;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > (INT64_MAX - 9) / 10)
            return -EPROTO;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    *ret = n;
    return 0;
}
