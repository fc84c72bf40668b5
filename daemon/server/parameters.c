/* Typed reading of a method's parameters. */
#include "server/parameters.h"

#include "util.h"

static bool all_strings(const json_t *array)
{
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item)
        if (!json_is_string(item))
            return false;
    return true;
}

static bool all_integers(const json_t *array)
{
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item)
        if (!json_is_integer(item) || json_integer_value(item) < 0 ||
            json_integer_value(item) >= (json_int_t)UINT32_MAX)
            return false;
    return true;
}

static bool store(const struct parameter *parameter, json_t *value)
{
    switch (parameter->type) {
    case PARAMETER_STRING:
        if (!json_is_string(value))
            return false;
        *(const char **)parameter->ret = json_string_value(value);
        return true;
    case PARAMETER_BOOLEAN:
        if (!json_is_boolean(value))
            return false;
        *(bool *)parameter->ret = json_is_true(value);
        return true;
    case PARAMETER_INTEGER:
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            return false;
        *(json_int_t *)parameter->ret = json_integer_value(value);
        return true;
    case PARAMETER_OBJECT:
        if (!json_is_object(value))
            return false;
        break;
    case PARAMETER_STRINGS:
        if (!json_is_array(value) || !all_strings(value))
            return false;
        break;
    case PARAMETER_INTEGERS:
        if (!json_is_array(value) || !all_integers(value))
            return false;
        break;
    }
    *(json_t **)parameter->ret = value;
    return true;
}

static bool is_known(const char *name, const struct parameter *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (streq(table[i].name, name))
            return true;
    return false;
}

int parameters_read(const json_t *parameters, const struct parameter *table, size_t n,
                    const char **ret_bad)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)parameters, key, value) {
        if (!is_known(key, table, n)) {
            *ret_bad = key;
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < n; i++) {
        value = json_object_get(parameters, table[i].name);
        bool given = value && !json_is_null(value);
        if (given ? !store(&table[i], value) : table[i].required) {
            *ret_bad = table[i].name;
            return -EINVAL;
        }
    }
    return 0;
}

int parameters_borrow_strings(const json_t *array, struct string_list *ret)
{
    struct string_list list = {.items = calloc(json_array_size(array) + 1, sizeof(char *))};
    size_t i;
    json_t *item;

    if (!list.items)
        return -ENOMEM;
    json_array_foreach (array, i, item)
        list.items[list.count++] = (char *)json_string_value(item);
    *ret = list;
    return 0;
}
