/* The walk of an object along a table of keys. */
#include "json-walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define STRING_SHOWN_MAX 60 /* bytes of a string in an error */

/* -- what is wrong -- */

/* Copies what a terminal may show: valid UTF-8 stays, control characters become '?', and what is
 * too long is cut between two characters. */
static void copy_printable(const char *text, size_t length, char *buffer, size_t size)
{
    size_t n = MIN_OF(length, size - 1);

    while (n < length && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = i > 0 && (unsigned char)text[i - 1] == 0xc2 && c < 0xa0; /* U+0080 to U+009F */
        if (c1)
            buffer[i - 1] = '?';
        buffer[i] = c < ' ' || c == 0x7f || c1 ? '?' : (char)c;
    }
    buffer[n] = '\0';
}

static void describe_string(const json_t *value, bool secret, char *buffer, size_t size)
{
    size_t length = json_string_length(value);
    char shown[STRING_SHOWN_MAX + 1];

    if (length == 0) {
        (void)snprintf(buffer, size, "an empty string");
    } else if (secret) {
        (void)snprintf(buffer, size, "a string of %zu bytes", length);
    } else {
        copy_printable(json_string_value(value), length, shown, sizeof(shown));
        (void)snprintf(buffer, size, "the string \"%s%s\"", shown,
                       length >= sizeof(shown) ? "..." : "");
    }
}

static void describe(const json_t *value, bool secret, char *buffer, size_t size)
{
    char number[64] = "";

    switch (json_typeof(value)) {
    case JSON_STRING:
        describe_string(value, secret, buffer, size);
        return;
    case JSON_INTEGER:
    case JSON_REAL:
        if (secret) {
            (void)snprintf(buffer, size, "a number");
            return;
        }
        /* jansson's own text, so that 4096.0 is not told as 4096 */
        (void)json_dumpb(value, number, sizeof(number) - 1, JSON_ENCODE_ANY);
        (void)snprintf(buffer, size, "the number %s", number);
        return;
    case JSON_ARRAY:
        (void)snprintf(buffer, size, "an array of size %zu", json_array_size(value));
        return;
    case JSON_OBJECT:
        (void)snprintf(buffer, size, "an object of size %zu", json_object_size(value));
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        (void)snprintf(buffer, size, json_is_true(value) ? "true" : "false");
        return;
    case JSON_NULL:
        (void)snprintf(buffer, size, "null");
        return;
    }
}

static int refuse(struct json_walk *w, const char *found, const char *format, va_list arguments)
    PRINTF_LIKE(3, 0);

static int refuse(struct json_walk *w, const char *found, const char *format, va_list arguments)
{
    struct card_error *error = w->error;

    (void)snprintf(error->path, sizeof(error->path), "%s", w->path);
    (void)snprintf(error->found, sizeof(error->found), "%s", found);
    (void)vsnprintf(error->expected, sizeof(error->expected), format, arguments);
    return -EINVAL;
}

int json_walk_refuse(struct json_walk *w, const char *found, const char *expected_format, ...)
{
    va_list arguments;

    va_start(arguments, expected_format);
    int r = refuse(w, found, expected_format, arguments);
    va_end(arguments);
    return r;
}

int json_walk_refuse_value(struct json_walk *w, const json_t *value, bool secret,
                           const char *expected_format, ...)
{
    char found[sizeof(w->error->found)];
    va_list arguments;

    describe(value, secret, found, sizeof(found));
    va_start(arguments, expected_format);
    int r = refuse(w, found, expected_format, arguments);
    va_end(arguments);
    return r;
}

/* -- unknown keys -- */

/* Whether one letter more, less, other or swapped with its neighbour makes one of the other. */
static bool is_one_edit_away(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);

    if (strcasecmp(a, b) == 0)
        return true;
    while (*a && *a == *b) {
        a++;
        b++;
    }
    if (a_length == b_length)
        return streq(a + 1, b + 1) || (a[0] == b[1] && a[1] == b[0] && streq(a + 2, b + 2));
    if (a_length == b_length + 1)
        return streq(a + 1, b);
    return b_length == a_length + 1 && streq(a, b + 1);
}

static int refuse_unknown_key(struct json_walk *w, const char *name, const struct json_key *keys,
                              size_t n_keys)
{
    char list[sizeof(w->error->expected) - sizeof("one of , ...")] = "";
    size_t used = 0;
    bool all = true;

    for (size_t i = 0; i < n_keys; i++) {
        if (is_one_edit_away(name, keys[i].name))
            return json_walk_refuse(w, "an unknown key", "a key of %s: did you mean \"%s\"?",
                                    w->document, keys[i].name);
        if (keys[i].name[0] == '$')
            continue;
        all = all && used + strlen(", ") + strlen(keys[i].name) < sizeof(list);
        if (all)
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", used > 0 ? ", " : "",
                                     keys[i].name);
    }
    return json_walk_refuse(w, "an unknown key", "one of %s%s", list, all ? "" : ", ...");
}

/* -- the walk -- */

static const struct json_key *find_key(const char *name, const struct json_key *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++)
        if (streq(keys[i].name, name))
            return &keys[i];
    return NULL;
}

static int parse_member(struct json_walk *w, const char *name, const json_t *value,
                        const struct json_key *keys, size_t n_keys)
{
    const struct json_key *key = find_key(name, keys, n_keys);

    if (!key)
        return refuse_unknown_key(w, name, keys, n_keys);
    /* For JSON true and false are two types; a key takes both, by the name of the first. */
    if (json_typeof(value) == key->type || (json_is_false(value) && key->type == JSON_TRUE))
        return key->parse(w, key, value);
    if (key->type == JSON_INTEGER)
        return json_walk_refuse_value(w, value, key->secret, "an integer from %ju to %ju (%s)",
                                      (uintmax_t)key->min, (uintmax_t)key->max, key->expected);
    return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
}

int json_walk_object(struct json_walk *w, const json_t *object, const struct json_key *keys,
                     size_t n_keys)
{
    size_t used = strlen(w->path);
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)object, name, value) /* jansson keeps the document's order */
    {
        json_path_append_key(w->path, sizeof(w->path), name, strlen(name));
        int r = parse_member(w, name, value, keys, n_keys);
        if (r < 0)
            return r;
        w->path[used] = '\0';
    }
    for (size_t i = 0; i < n_keys; i++) {
        if (!keys[i].required || json_object_get(object, keys[i].name))
            continue;
        json_path_append_key(w->path, sizeof(w->path), keys[i].name, strlen(keys[i].name));
        return json_walk_refuse(w, "nothing", "%s", keys[i].expected);
    }
    return 0;
}

/* -- the text -- */

int json_walk_text(struct json_walk *w, const char *text, size_t size, size_t size_max,
                   unsigned nesting_max, json_t **ret, struct json_text_error *ret_fault)
{
    char found[sizeof(w->error->found)];

    ret_fault->line = ret_fault->column = 0;
    if (size > size_max) {
        (void)snprintf(found, sizeof(found), "a text of %zu bytes", size);
        return json_walk_refuse(w, found, "at most %zu bytes", size_max);
    }
    int r = json_text_parse(text, size, nesting_max, ret, ret_fault);
    if (r != -EINVAL)
        return r;
    (void)snprintf(w->path, sizeof(w->path), "%s", ret_fault->path);
    (void)snprintf(found, sizeof(found), "%.80s (line %d, column %d)", ret_fault->found,
                   ret_fault->line, ret_fault->column);
    return json_walk_refuse(
        w, found, "JSON text with each key once and at most %u levels of nesting", nesting_max);
}

/* -- parsers of rows -- */

int json_walk_ignored(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return 0;
}

int json_walk_integer(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    json_int_t number = json_integer_value(value);

    if (number < 0 || (uint64_t)number < key->min || (uint64_t)number > key->max)
        return json_walk_refuse_value(w, value, key->secret, "an integer from %ju to %ju (%s)",
                                      (uintmax_t)key->min, (uintmax_t)key->max, key->expected);
    *JSON_FIELD(w, key, uint64_t) = (uint64_t)number;
    return 0;
}

int json_walk_boolean(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    *JSON_FIELD(w, key, bool) = json_is_true(value);
    return 0;
}

int json_walk_strings(struct json_walk *w, const struct json_key *key, const json_t *value,
                      const char *expected, const char *(*fault)(const char *text), bool unique)
{
    struct string_list *list = JSON_FIELD(w, key, struct string_list);
    size_t used = strlen(w->path), i;
    json_t *item;

    if (json_array_size(value) > key->max)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    json_array_foreach (value, i, item) {
        json_path_append_index(w->path, sizeof(w->path), i);
        if (!json_is_string(item))
            return json_walk_refuse_value(w, item, key->secret, "%s", expected);
        const char *text = json_string_value(item), *why = fault(text);
        if (why)
            return json_walk_refuse_value(w, item, key->secret, "%s: %s", expected, why);
        if (unique && string_list_has(list, text))
            return json_walk_refuse_value(w, item, key->secret, "each entry once");
        int r = string_list_append(list, text);
        if (r < 0)
            return r;
        w->path[used] = '\0';
    }
    return 0;
}
