/* From JSON to a card: the tables of its keys, and what keys mean together. */
#include "card-parse.h"

#include <stdio.h>

#include "caged-limits.h"

static int parse_limits(struct json_walk *w, const struct json_key *key, const json_t *value);

#define LIMIT(field, NAME, unit)                                                                   \
    {                                                                                              \
        .name = #field, .type = JSON_INTEGER, .expected = unit, .parse = json_walk_integer,        \
        .offset = offsetof(struct card_limits, field), .min = NAME##_MIN, .max = NAME##_MAX,       \
        .fallback = NAME##_DEFAULT                                                                 \
    }

const struct json_key card_limit_keys[CARD_LIMIT_COUNT] = {
    [CARD_LIMIT_MEMORY] = LIMIT(memory_mb, CARD_MEMORY_MB, "MiB"),
    [CARD_LIMIT_MEMORY_HIGH] = LIMIT(memory_high_mb, CARD_MEMORY_HIGH_MB, "MiB"),
    [CARD_LIMIT_SWAP] = LIMIT(swap_mb, CARD_SWAP_MB, "MiB"),
    [CARD_LIMIT_CPU_SHARES] =
        LIMIT(cpu_shares, CARD_CPU_SHARES, "shares; 1024 is the usual weight"),
    [CARD_LIMIT_CPU_QUOTA] =
        LIMIT(cpu_quota_percent, CARD_CPU_QUOTA_PERCENT, "percent of one processor"),
    [CARD_LIMIT_IO_WEIGHT] = LIMIT(io_weight, CARD_IO_WEIGHT, "weight; 100 is the usual one"),
    [CARD_LIMIT_IO_READ_BPS] = LIMIT(io_read_bps, CARD_IO_BPS, "bytes a second"),
    [CARD_LIMIT_IO_WRITE_BPS] = LIMIT(io_write_bps, CARD_IO_BPS, "bytes a second"),
    [CARD_LIMIT_IO_READ_IOPS] = LIMIT(io_read_iops, CARD_IO_IOPS, "operations a second"),
    [CARD_LIMIT_IO_WRITE_IOPS] = LIMIT(io_write_iops, CARD_IO_IOPS, "operations a second"),
    [CARD_LIMIT_PROCESSES] = LIMIT(max_processes, CARD_PROCESSES, "processes and threads"),
    [CARD_LIMIT_OPEN_FILES] = LIMIT(max_open_files, CARD_OPEN_FILES, "files for each process"),
};

#define NAME_EXPECTED "1 to " STRINGIFY(CARD_AGENT_ID_MAX) " characters out of a-z, 0-9 and \"-\""

static const struct json_key card_keys[] = {
    {.name = "$schema",
     .type = JSON_STRING,
     .expected = "the address of a schema (for editors; it has no effect)",
     .parse = json_walk_ignored},
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
     .expected = CARD_PATH_EXPECTED,
     .parse = card_parse_path,
     .offset = offsetof(struct card, workspace)},
    {.name = "user",
     .type = JSON_STRING,
     .expected = "the name or number of a user: 1 to " STRINGIFY(
         CARD_USER_MAX) " bytes without \":\", \"/\" and control characters",
     .parse = card_parse_user,
     .offset = offsetof(struct card, user)},
    {.name = "mounts",
     .type = JSON_ARRAY,
     .expected = "an array of at most " STRINGIFY(CARD_MOUNTS_MAX) " mounts",
     .parse = card_parse_mounts,
     .max = CARD_MOUNTS_MAX},
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
     .expected = CARD_PATH_EXPECTED,
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
     .expected = CARD_PATH_EXPECTED,
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
     .offset = offsetof(struct card, allowed_hosts),
     .max = CARD_HOSTS_MAX},
    {.name = "private_hosts",
     .type = JSON_ARRAY,
     .expected = "an array of at most " STRINGIFY(CARD_HOSTS_MAX) " names of hosts",
     .parse = card_parse_private_hosts,
     .offset = offsetof(struct card, private_hosts),
     .max = CARD_HOSTS_MAX},
    {.name = "denied_hosts",
     .type = JSON_ARRAY,
     .expected = "an array of at most " STRINGIFY(CARD_HOSTS_MAX) " hosts",
     .parse = card_parse_denied_hosts,
     .offset = offsetof(struct card, denied_hosts),
     .max = CARD_HOSTS_MAX},
    {.name = "ttl_seconds",
     .type = JSON_INTEGER,
     .expected = "seconds; 0 is no end",
     .parse = json_walk_integer,
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
     .parse = json_walk_boolean,
     .offset = offsetof(struct card, transparent)},
    {.name = "protect",
     .type = JSON_ARRAY,
     .expected = "an array of the kinds to protect: [\"git\"], or [] for none",
     .parse = card_parse_protect},
    {.name = "environment",
     .type = JSON_OBJECT,
     .secret = true,
     .expected = "an object of at most " STRINGIFY(CARD_ENVIRONMENT_MAX) " variables",
     .parse = card_parse_environment},
};

static int parse_limits(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    struct card *card = CARD(w);

    for (size_t i = 0; i < CARD_LIMIT_COUNT; i++)
        if (json_object_get(value, card_limit_keys[i].name))
            card->limits_given |= 1u << i;
    w->object = &card->limits;
    int r = json_walk_object(w, value, card_limit_keys, CARD_LIMIT_COUNT);
    w->object = card;
    return r;
}

/* The key would stand in the agent's environment twice, and which one counts would be a riddle. */
static int check_key_is_single(struct json_walk *w)
{
    const char *variable = api_provider_key_variable(CARD(w)->api_provider);

    if (!CARD(w)->api_key_file)
        return 0;
    for (size_t i = 0; i < CARD(w)->n_environment; i++) {
        if (!streq(CARD(w)->environment[i].name, variable))
            continue;
        (void)snprintf(w->path, sizeof(w->path), "$.environment.%s", variable);
        return json_walk_refuse(w, "the variable that api_key_file fills",
                                "either this variable or api_key_file, not both");
    }
    return 0;
}

/* Which of two users counts would be a riddle; and one for no proxy is a proxy forgotten. */
static int check_proxy_user(struct json_walk *w)
{
    const struct card *card = CARD(w);

    if (!card->proxy_auth_file)
        return 0;
    (void)snprintf(w->path, sizeof(w->path), "$.proxy_auth_file");
    if (!card->proxy)
        return json_walk_refuse(w, "a file for no proxy", "proxy as well, or not this file");
    if (strchr(card->proxy, '@'))
        return json_walk_refuse(w, "a file, while proxy has a user in it",
                                "either this file or a user in proxy, not both");
    return 0;
}

/* A threshold above the limit would never be reached, so it is not what was meant. */
static int check_threshold(struct json_walk *w)
{
    const struct card_limits *limits = &CARD(w)->limits;
    char found[sizeof(w->error->found)];

    if (limits->memory_high_mb <= limits->memory_mb)
        return 0;
    (void)snprintf(w->path, sizeof(w->path), "$.resource_limits.memory_high_mb");
    (void)snprintf(found, sizeof(found), "the number %ju", (uintmax_t)limits->memory_high_mb);
    return json_walk_refuse(w, found, "at most memory_mb, which is %ju",
                            (uintmax_t)limits->memory_mb);
}

uint64_t *card_limit(struct card_limits *limits, enum card_limit limit)
{
    return (uint64_t *)(void *)((char *)limits + card_limit_keys[limit].offset);
}

static struct card *card_new(void)
{
    struct card *card = calloc(1, sizeof(*card));

    if (!card)
        return NULL;
    for (size_t i = 0; i < CARD_LIMIT_COUNT; i++)
        *card_limit(&card->limits, (enum card_limit)i) = card_limit_keys[i].fallback;
    card->protect_git = true;
    return card;
}

int card_parse(const json_t *json, struct card **ret, struct card_error *ret_error)
{
    CLEANUP(card_freep) struct card *card = card_new();
    struct json_walk w = {.object = card, .document = "the card", .error = ret_error, .path = "$"};

    if (!card)
        return -ENOMEM;
    if (!json_is_object(json))
        return json_walk_refuse_value(&w, json, true, "an object: the card");
    int r = json_walk_object(&w, json, card_keys, ARRAY_SIZE(card_keys));
    if (r == 0)
        r = check_key_is_single(&w);
    if (r == 0)
        r = check_proxy_user(&w);
    if (r == 0)
        r = check_threshold(&w);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(card);
    return 0;
}

int card_parse_text(const char *text, size_t size, struct card **ret, struct card_error *ret_error)
{
    struct json_walk w = {.document = "the card", .error = ret_error, .path = "$"};
    struct json_text_error fault;
    json_t *json = NULL;

    int r = json_walk_text(&w, text, size, CARD_SIZE_MAX, CARD_NESTING_MAX, &json, &fault);
    if (r < 0)
        return r;
    r = card_parse(json, ret, ret_error);
    json_decref(json);
    return r;
}
