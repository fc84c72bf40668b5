/* From JSON to a card: the tables of keys, and the walk that holds an object against one. */
#include "card-parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "caged-limits.h"
#include "json-text.h"

#define STRING_SHOWN_MAX 60 /* bytes of a string in an error */

static int parse_limits(struct card_parser *p, const struct card_key *key, const json_t *value);

#define LIMIT(field, NAME, unit)                                                                   \
    {                                                                                              \
        .name = #field, .type = JSON_INTEGER, .expected = unit, .parse = card_parse_integer,       \
        .offset = offsetof(struct card, limits.field), .min = NAME##_MIN, .max = NAME##_MAX,       \
        .fallback = NAME##_DEFAULT                                                                 \
    }

static const struct card_key limit_keys[] = {
    LIMIT(memory_mb, CARD_MEMORY_MB, "MiB"),
    LIMIT(memory_high_mb, CARD_MEMORY_HIGH_MB, "MiB"),
    LIMIT(swap_mb, CARD_SWAP_MB, "MiB"),
    LIMIT(cpu_shares, CARD_CPU_SHARES, "shares; 1024 is the usual weight"),
    LIMIT(cpu_quota_percent, CARD_CPU_QUOTA_PERCENT, "percent of one processor"),
    LIMIT(io_weight, CARD_IO_WEIGHT, "weight; 100 is the usual one"),
    LIMIT(io_read_bps, CARD_IO_BPS, "bytes a second"),
    LIMIT(io_write_bps, CARD_IO_BPS, "bytes a second"),
    LIMIT(io_read_iops, CARD_IO_IOPS, "operations a second"),
    LIMIT(io_write_iops, CARD_IO_IOPS, "operations a second"),
    LIMIT(max_processes, CARD_PROCESSES, "processes and threads"),
    LIMIT(max_open_files, CARD_OPEN_FILES, "files for each process"),
};

#define NAME_EXPECTED "1 to " STRINGIFY(CARD_AGENT_ID_MAX) " characters out of a-z, 0-9 and \"-\""

#define PATH_EXPECTED                                                                              \
    "an absolute path of " STRINGIFY(                                                              \
        CARD_PATH_MAX) " bytes at most, other than \"/\", without \"..\", \".\", double "          \
                       "slashes and control characters"

static const struct card_key card_keys[] = {
    {.name = "$schema",
     .type = JSON_STRING,
     .expected = "the address of a schema (for editors; it has no effect)",
     .parse = card_parse_ignored},
    {.name = "agent_id",
     .type = JSON_STRING,
     .required = true,
     .expected = NAME_EXPECTED,
     .parse = card_parse_name,
     .offset = offsetof(struct card, agent_id)},
    {.name = "agent",
     .type = JSON_STRING,
     .expected = "the name of a preset (opencode, codex, claude, ...): " NAME_EXPECTED,
     .parse = card_parse_name,
     .offset = offsetof(struct card, agent)},
    {.name = "workspace",
     .type = JSON_STRING,
     .required = true,
     .expected = PATH_EXPECTED,
     .parse = card_parse_path,
     .offset = offsetof(struct card, workspace)},
    {.name = "user",
     .type = JSON_STRING,
     .expected = "the name or number of a user: 1 to " STRINGIFY(
         CARD_USER_MAX) " bytes without \":\", \"/\" and control characters",
     .parse = card_parse_user,
     .offset = offsetof(struct card, user)},
    {.name = "command",
     .type = JSON_ARRAY,
     .secret = true,
     .expected =
         "an array of 1 to " STRINGIFY(CARD_COMMAND_MAX) " strings, the first of them not empty",
     .parse = card_parse_command},
    {.name = "api_provider",
     .type = JSON_STRING,
     .expected = "\"anthropic\", \"openai\", \"ollama\" or \"custom\"",
     .parse = card_parse_provider},
    {.name = "api_key_file",
     .type = JSON_STRING,
     .secret = true, /* people write the key itself there */
     .expected = PATH_EXPECTED,
     .parse = card_parse_path,
     .offset = offsetof(struct card, api_key_file)},
    {.name = "proxy",
     .type = JSON_STRING,
     .secret = true,
     .expected =
         "\"http://[user[:password]@]host:port\" of " STRINGIFY(CARD_PROXY_MAX) " bytes at most",
     .parse = card_parse_proxy},
    {.name = "proxy_auth_file",
     .type = JSON_STRING,
     .secret = true, /* people write the password itself there */
     .expected = PATH_EXPECTED,
     .parse = card_parse_path,
     .offset = offsetof(struct card, proxy_auth_file)},
    {.name = "resource_limits",
     .type = JSON_OBJECT,
     .expected = "an object with limits: memory_mb, cpu_shares, max_processes, ...",
     .parse = parse_limits},
    {.name = "allowed_hosts",
     .type = JSON_ARRAY,
     .expected = "an array of at most " STRINGIFY(CARD_HOSTS_MAX) " hosts",
     .parse = card_parse_allowed_hosts,
     .offset = offsetof(struct card, allowed_hosts)},
    {.name = "private_hosts",
     .type = JSON_ARRAY,
     .expected = "an array of at most " STRINGIFY(CARD_HOSTS_MAX) " names of hosts",
     .parse = card_parse_private_hosts,
     .offset = offsetof(struct card, private_hosts)},
    {.name = "denied_hosts",
     .type = JSON_ARRAY,
     .expected = "an array of at most " STRINGIFY(CARD_HOSTS_MAX) " hosts",
     .parse = card_parse_denied_hosts,
     .offset = offsetof(struct card, denied_hosts)},
    {.name = "ttl_seconds",
     .type = JSON_INTEGER,
     .expected = "seconds; 0 is no end",
     .parse = card_parse_integer,
     .offset = offsetof(struct card, ttl_seconds),
     .max = CARD_TTL_MAX},
    {.name = "seccomp_profile",
     .type = JSON_STRING,
     .expected = "the name of a seccomp profile of this host: " NAME_EXPECTED,
     .parse = card_parse_name,
     .offset = offsetof(struct card, seccomp_profile)},
    {.name = "transparent",
     .type = JSON_TRUE,
     .expected = "true or false",
     .parse = card_parse_boolean,
     .offset = offsetof(struct card, transparent)},
    {.name = "environment",
     .type = JSON_OBJECT,
     .secret = true,
     .expected = "an object of at most " STRINGIFY(CARD_ENVIRONMENT_MAX) " variables",
     .parse = card_parse_environment},
};

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

static int refuse(struct card_parser *p, const char *found, const char *format, va_list arguments)
    PRINTF_LIKE(3, 0);

static int refuse(struct card_parser *p, const char *found, const char *format, va_list arguments)
{
    struct card_error *error = p->error;

    (void)snprintf(error->path, sizeof(error->path), "%s", p->path);
    (void)snprintf(error->found, sizeof(error->found), "%s", found);
    (void)vsnprintf(error->expected, sizeof(error->expected), format, arguments);
    return -EINVAL;
}

int card_refuse(struct card_parser *p, const char *found, const char *expected_format, ...)
{
    va_list arguments;

    va_start(arguments, expected_format);
    int r = refuse(p, found, expected_format, arguments);
    va_end(arguments);
    return r;
}

int card_refuse_value(struct card_parser *p, const json_t *value, bool secret,
                      const char *expected_format, ...)
{
    char found[sizeof(p->error->found)];
    va_list arguments;

    describe(value, secret, found, sizeof(found));
    va_start(arguments, expected_format);
    int r = refuse(p, found, expected_format, arguments);
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

static int refuse_unknown_key(struct card_parser *p, const char *name, const struct card_key *keys,
                              size_t n_keys)
{
    char list[sizeof(p->error->expected)] = "";

    for (size_t i = 0; i < n_keys; i++) {
        if (is_one_edit_away(name, keys[i].name))
            return card_refuse(p, "an unknown key", "a key of the card: did you mean \"%s\"?",
                               keys[i].name);
        size_t used = strlen(list);
        if (keys[i].name[0] != '$')
            (void)snprintf(list + used, sizeof(list) - used, "%s%s", used > 0 ? ", " : "",
                           keys[i].name);
    }
    return card_refuse(p, "an unknown key", "one of %s", list);
}

/* -- the walk -- */

static const struct card_key *find_key(const char *name, const struct card_key *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++)
        if (streq(keys[i].name, name))
            return &keys[i];
    return NULL;
}

static int parse_member(struct card_parser *p, const char *name, const json_t *value,
                        const struct card_key *keys, size_t n_keys)
{
    const struct card_key *key = find_key(name, keys, n_keys);

    if (!key)
        return refuse_unknown_key(p, name, keys, n_keys);
    /* For JSON true and false are two types; a key takes both, by the name of the first. */
    if (json_typeof(value) == key->type || (json_is_false(value) && key->type == JSON_TRUE))
        return key->parse(p, key, value);
    if (key->type == JSON_INTEGER)
        return card_refuse_value(p, value, key->secret, "an integer from %ju to %ju (%s)",
                                 (uintmax_t)key->min, (uintmax_t)key->max, key->expected);
    return card_refuse_value(p, value, key->secret, "%s", key->expected);
}

/* Checks each key of an object against its row and runs the row's parser, in document order; then
 * looks for required keys that are missing. */
static int parse_object(struct card_parser *p, const json_t *object, const struct card_key *keys,
                        size_t n_keys)
{
    size_t used = strlen(p->path);
    const char *name;
    json_t *value;

    json_object_foreach ((json_t *)object, name, value) /* jansson keeps the document's order */
    {
        json_path_append_key(p->path, sizeof(p->path), name, strlen(name));
        int r = parse_member(p, name, value, keys, n_keys);
        if (r < 0)
            return r;
        p->path[used] = '\0';
    }
    for (size_t i = 0; i < n_keys; i++) {
        if (!keys[i].required || json_object_get(object, keys[i].name))
            continue;
        json_path_append_key(p->path, sizeof(p->path), keys[i].name, strlen(keys[i].name));
        return card_refuse(p, "nothing", "%s", keys[i].expected);
    }
    return 0;
}

static int parse_limits(struct card_parser *p, const struct card_key *key, const json_t *value)
{
    return parse_object(p, value, limit_keys, ARRAY_SIZE(limit_keys));
}

/* The key would stand in the agent's environment twice, and which one counts would be a riddle. */
static int check_key_is_single(struct card_parser *p)
{
    const char *variable = api_provider_key_variable(p->card->api_provider);

    if (!p->card->api_key_file)
        return 0;
    for (size_t i = 0; i < p->card->n_environment; i++) {
        if (!streq(p->card->environment[i].name, variable))
            continue;
        (void)snprintf(p->path, sizeof(p->path), "$.environment.%s", variable);
        return card_refuse(p, "the variable that api_key_file fills",
                           "either this variable or api_key_file, not both");
    }
    return 0;
}

/* Which of two users counts would be a riddle; and one for no proxy is a proxy forgotten. */
static int check_proxy_user(struct card_parser *p)
{
    const struct card *card = p->card;

    if (!card->proxy_auth_file)
        return 0;
    (void)snprintf(p->path, sizeof(p->path), "$.proxy_auth_file");
    if (!card->proxy)
        return card_refuse(p, "a file for no proxy", "proxy as well, or not this file");
    if (strchr(card->proxy, '@'))
        return card_refuse(p, "a file, while proxy has a user in it",
                           "either this file or a user in proxy, not both");
    return 0;
}

/* A threshold above the limit would never be reached, so it is not what was meant. */
static int check_threshold(struct card_parser *p)
{
    const struct card_limits *limits = &p->card->limits;
    char found[sizeof(p->error->found)];

    if (limits->memory_high_mb <= limits->memory_mb)
        return 0;
    (void)snprintf(p->path, sizeof(p->path), "$.resource_limits.memory_high_mb");
    (void)snprintf(found, sizeof(found), "the number %ju", (uintmax_t)limits->memory_high_mb);
    return card_refuse(p, found, "at most memory_mb, which is %ju", (uintmax_t)limits->memory_mb);
}

static struct card *card_new(void)
{
    struct card *card = calloc(1, sizeof(*card));

    if (!card)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(limit_keys); i++)
        *(uint64_t *)(void *)((char *)card + limit_keys[i].offset) = limit_keys[i].fallback;
    return card;
}

int card_parse(const json_t *json, struct card **ret, struct card_error *ret_error)
{
    CLEANUP(card_freep) struct card *card = card_new();
    struct card_parser p = {.card = card, .error = ret_error, .path = "$"};

    if (!card)
        return -ENOMEM;
    if (!json_is_object(json))
        return card_refuse_value(&p, json, true, "an object: the card");
    int r = parse_object(&p, json, card_keys, ARRAY_SIZE(card_keys));
    if (r == 0)
        r = check_key_is_single(&p);
    if (r == 0)
        r = check_proxy_user(&p);
    if (r == 0)
        r = check_threshold(&p);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(card);
    return 0;
}

int card_parse_text(const char *text, size_t size, struct card **ret, struct card_error *ret_error)
{
    struct card_parser p = {.error = ret_error, .path = "$"};
    struct json_text_error fault;
    char found[sizeof(ret_error->found)];
    json_t *json = NULL;

    if (size > CARD_SIZE_MAX) {
        (void)snprintf(found, sizeof(found), "a text of %zu bytes", size);
        return card_refuse(&p, found, "at most %d bytes", CARD_SIZE_MAX);
    }
    int r = json_text_parse(text, size, CARD_NESTING_MAX, &json, &fault);
    if (r == -EINVAL) {
        (void)snprintf(p.path, sizeof(p.path), "%s", fault.path);
        (void)snprintf(found, sizeof(found), "%.80s (line %d, column %d)", fault.found, fault.line,
                       fault.column);
        return card_refuse(&p, found,
                           "JSON text with each key once and at most %d levels of nesting",
                           CARD_NESTING_MAX);
    }
    if (r < 0)
        return r;
    r = card_parse(json, ret, ret_error);
    json_decref(json);
    return r;
}
