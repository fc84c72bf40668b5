/* What a seccomp profile says; the contract stands in the header. */
#include "process/seccomp-read.h"

#include "fd-io.h"
#include "json-text.h"
#include "util.h"
#include "why.h"

#define PROFILE_SIZE_MAX (256 * 1024)
#define PROFILE_NESTING_MAX 8
#define ERRNO_MAX 4095

/* -- strictness: every object has only keys that are known, of the type that they have -- */

struct key {
    const char *name;
    json_type type;
    bool required;
};

static const struct key top_keys[] = {
    {"defaultAction", JSON_STRING, true}, {"defaultErrnoRet", JSON_INTEGER, true},
    {"architectures", JSON_ARRAY, false}, {"archMap", JSON_ARRAY, false},
    {"syscalls", JSON_ARRAY, true},
};

static const struct key map_keys[] = {
    {"architecture", JSON_STRING, true},
    {"subArchitectures", JSON_ARRAY, false},
};

static const struct key entry_keys[] = {
    {"names", JSON_ARRAY, true}, {"action", JSON_STRING, true},   {"errnoRet", JSON_INTEGER, false},
    {"args", JSON_ARRAY, false}, {"comment", JSON_STRING, false},
};

static const struct key argument_keys[] = {
    {"index", JSON_INTEGER, true},
    {"value", JSON_INTEGER, true},
    {"valueTwo", JSON_INTEGER, false},
    {"op", JSON_STRING, true},
};

static const struct key *find_key(const struct key *keys, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (streq(keys[i].name, name))
            return &keys[i];
    return NULL;
}

/* `what` names the object for the sentence: "syscalls[3]". */
static int check_object(json_t *object, const struct key *keys, size_t n, const char *what,
                        char **ret_why)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return why_set(ret_why, -EINVAL, "%s must be an object", what);
    json_object_foreach (object, name, value) {
        const struct key *key = find_key(keys, n, name);
        if (!key)
            return why_set(ret_why, -EINVAL, "%s has an unknown key \"%.64s\"", what, name);
        if (json_typeof(value) != key->type)
            return why_set(ret_why, -EINVAL, "\"%s\" of %s has the wrong type", name, what);
    }
    for (size_t i = 0; i < n; i++)
        if (keys[i].required && !json_object_get(object, keys[i].name))
            return why_set(ret_why, -EINVAL, "%s lacks \"%s\"", what, keys[i].name);
    return 0;
}

static int check_strings(const json_t *array, const char *what, char **ret_why)
{
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item)
        if (!json_is_string(item))
            return why_set(ret_why, -EINVAL, "%s must hold strings only", what);
    return 0;
}

/* -- actions and arguments -- */

/* The action of an object with the keys `action_key` and `errno_key`. */
static int read_action(const json_t *object, const char *action_key, const char *errno_key,
                       const char *what, uint32_t *ret, char **ret_why)
{
    const char *name = json_string_value(json_object_get(object, action_key));
    const json_t *number = json_object_get(object, errno_key);
    json_int_t error = number ? json_integer_value(number) : EPERM;

    if (streq(name, "SCMP_ACT_ALLOW") && !number) {
        *ret = SCMP_ACT_ALLOW;
        return 0;
    }
    if (!streq(name, "SCMP_ACT_ERRNO"))
        return why_set(ret_why, -EINVAL,
                       "\"%s\" of %s must be SCMP_ACT_ALLOW (without an errno) or SCMP_ACT_ERRNO",
                       action_key, what);
    if (error < 1 || error > ERRNO_MAX)
        return why_set(ret_why, -EINVAL, "\"%s\" of %s must be from 1 to %d", errno_key, what,
                       ERRNO_MAX);
    *ret = SCMP_ACT_ERRNO((uint32_t)error);
    return 0;
}

static const struct {
    const char *name;
    enum scmp_compare op;
} operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static bool find_operator(const char *name, enum scmp_compare *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (streq(operators[i].name, name)) {
            *ret = operators[i].op;
            return true;
        }
    }
    return false;
}

/* For SCMP_CMP_MASKED_EQ `value` is the mask and `valueTwo` what must be left. */
static int read_argument(json_t *object, const char *what, struct scmp_arg_cmp *ret, char **ret_why)
{
    enum scmp_compare op;
    int r = check_object(object, argument_keys, ARRAY_SIZE(argument_keys), what, ret_why);

    if (r < 0)
        return r;
    json_int_t index = json_integer_value(json_object_get(object, "index"));
    json_int_t value = json_integer_value(json_object_get(object, "value"));
    json_int_t second = json_integer_value(json_object_get(object, "valueTwo"));
    const char *name = json_string_value(json_object_get(object, "op"));

    if (index < 0 || index > 5)
        return why_set(ret_why, -EINVAL, "\"index\" of %s must be from 0 to 5", what);
    if (value < 0 || second < 0)
        return why_set(ret_why, -EINVAL, "a value of %s is negative", what);
    if (!find_operator(name, &op))
        return why_set(ret_why, -EINVAL, "%s has an unknown op \"%.64s\"", what, name);
    *ret = (struct scmp_arg_cmp){(unsigned)index, op, (scmp_datum_t)value, (scmp_datum_t)second};
    return 0;
}

static int read_arguments(const json_t *entry, const char *what, struct seccomp_rule *ret,
                          char **ret_why)
{
    const json_t *array = json_object_get(entry, "args");
    unsigned seen = 0;
    size_t i;
    json_t *item;

    json_array_foreach (array, i, item) {
        struct scmp_arg_cmp argument;
        int r = read_argument(item, what, &argument, ret_why);
        if (r < 0)
            return r;
        if (seen & 1U << argument.arg)
            return why_set(ret_why, -EINVAL, "%s compares argument %u twice", what, argument.arg);
        seen |= 1U << argument.arg;
        ret->arguments[i] = argument;
    }
    ret->n_arguments = (unsigned)json_array_size(array);
    return 0;
}

/* -- the profile and its parts -- */

int seccomp_read_entry(json_t *entry, const char *what, struct seccomp_rule *ret, char **ret_why)
{
    struct seccomp_rule read = {.names = json_object_get(entry, "names")};
    int r = check_object(entry, entry_keys, ARRAY_SIZE(entry_keys), what, ret_why);

    if (r >= 0)
        r = read_action(entry, "action", "errnoRet", what, &read.action, ret_why);
    if (r >= 0)
        r = check_strings(read.names, what, ret_why);
    if (r >= 0)
        r = read_arguments(entry, what, &read, ret_why);
    if (r >= 0)
        *ret = read;
    return r;
}

int seccomp_read_map_row(json_t *row, struct seccomp_map_row *ret, char **ret_why)
{
    int r = check_object(row, map_keys, ARRAY_SIZE(map_keys), "an entry of archMap", ret_why);

    if (r < 0)
        return r;
    ret->architecture = json_string_value(json_object_get(row, "architecture"));
    ret->others = json_object_get(row, "subArchitectures");
    return 0;
}

int seccomp_read_file(const char *path, json_t **ret, uint32_t *ret_default_action, char **ret_why)
{
    AUTO_FREE char *text = NULL;
    struct json_text_error error;
    json_t *json = NULL;
    size_t size;
    int r = file_read_all(path, PROFILE_SIZE_MAX, &text, &size);

    if (r < 0)
        return why_set(ret_why, r, "it cannot be read: %s", strerror(-r));
    r = json_text_parse(text, size, PROFILE_NESTING_MAX, &json, &error);
    if (r == -EINVAL)
        return why_set(ret_why, -EINVAL, "%s: line %d: found %s", error.path, error.line,
                       error.found);
    if (r >= 0)
        r = check_object(json, top_keys, ARRAY_SIZE(top_keys), "the profile", ret_why);
    if (r >= 0)
        r = read_action(json, "defaultAction", "defaultErrnoRet", "the profile", ret_default_action,
                        ret_why);
    if (r < 0) {
        json_decref(json);
        return r;
    }
    *ret = json;
    return 0;
}
