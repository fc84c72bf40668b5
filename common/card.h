/* The agent ID card: one struct, its validator and its JSON form. Pure but for allocation; used by
 * `cagectl check` and, with authority, by cagedd. The reference is policy/card.schema.json, the
 * text for people caged.card(5). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

#define CARD_PRESET_DEFAULT "opencode" /* of a card that has neither agent nor command */

enum api_provider {
    API_PROVIDER_ANTHROPIC,
    API_PROVIDER_OPENAI,
    API_PROVIDER_OLLAMA,
    API_PROVIDER_CUSTOM,
    API_PROVIDER_COUNT,
};

/* 0 is what a card does not ask for, except for swap_mb, where it is a limit as well. */
struct card_limits {
    uint64_t memory_mb;
    uint64_t memory_high_mb; /* never above memory_mb */
    uint64_t swap_mb;
    uint64_t cpu_shares;
    uint64_t cpu_quota_percent; /* 100: one processor */
    uint64_t io_weight;
    uint64_t io_read_bps, io_write_bps; /* bytes a second */
    uint64_t io_read_iops, io_write_iops;
    uint64_t max_processes;
    uint64_t max_open_files;
};

/* The members of struct card_limits, by number. */
enum card_limit {
    CARD_LIMIT_MEMORY,
    CARD_LIMIT_MEMORY_HIGH,
    CARD_LIMIT_SWAP,
    CARD_LIMIT_CPU_SHARES,
    CARD_LIMIT_CPU_QUOTA,
    CARD_LIMIT_IO_WEIGHT,
    CARD_LIMIT_IO_READ_BPS,
    CARD_LIMIT_IO_WRITE_BPS,
    CARD_LIMIT_IO_READ_IOPS,
    CARD_LIMIT_IO_WRITE_IOPS,
    CARD_LIMIT_PROCESSES,
    CARD_LIMIT_OPEN_FILES,
    CARD_LIMIT_COUNT,
};

/* The member of that number, in `limits`. */
uint64_t *card_limit(struct card_limits *limits, enum card_limit limit);

struct card_variable {
    char *name;
    char *value;
};

/* A folder of the host's that the agent sees besides its workspace. */
struct card_mount {
    char *source; /* absolute, as `workspace` */
    char *target; /* in the cage: mount_target_valid() */
    bool readonly;
};

struct string_list {
    char **items;
    size_t count;
};

/* Both 0 or -ENOMEM; the text is copied. */
int string_list_append(struct string_list *list, const char *item);
int card_variables_append(struct card_variable **variables, size_t *n, const char *name,
                          const char *value);
bool string_list_has(const struct string_list *list, const char *item);
void string_list_deinit(struct string_list *list);
struct card_variable *card_variables_free(struct card_variable *variables, size_t n); /* NULL */
struct card_mount *card_mounts_free(struct card_mount *mounts, size_t n);             /* NULL */

struct card {
    char *agent_id;
    char *agent;     /* name of the preset; NULL if the card has none */
    char *workspace; /* absolute, without "." and "..", without a slash at its end; never "/" */
    char *user; /* name or number of whose the agent's files are; NULL: the workspace's owner */
    struct card_mount *mounts;  /* no target lies in another's */
    size_t n_mounts;            /* CARD_MOUNTS_MAX at most */
    struct string_list command; /* empty: the preset's */
    bool command_has_preset; /* there is one of its program's name: set by who looks, never told */
    enum api_provider api_provider;
    char *api_key_file; /* NULL: no key */
    char *proxy; /* NULL: the gate dials by itself; "http://[user[:password]@]host:port", where
                    user and password may have %-escapes (RFC 3986, 3.2.1) */
    char *proxy_auth_file; /* NULL: no user, or that in `proxy`; never both */
    char *proxy_auth;      /* its content, "user:password": set by who reads it, never told */
    struct card_limits limits;
    unsigned limits_given; /* bits 1u << CARD_LIMIT_...: what the card itself says of them */
    struct string_list allowed_hosts; /* as written; empty: the provider's API host alone */
    struct string_list private_hosts;
    struct string_list denied_hosts; /* win over both */
    uint64_t ttl_seconds;            /* 0: none */
    char *seccomp_profile;           /* name; NULL: CARD_SECCOMP_PROFILE_DEFAULT */
    bool transparent; /* names and TCP reach the gate also from tools that know no proxy */
    bool protect_git; /* `protect`: hooks and configuration of repositories are read-only inside */
    struct card_variable *environment;
    size_t n_environment;
};

/* What is wrong with a card. Texts are cut, never missing; none ever holds a value of
 * `environment` or of the key. */
struct card_error {
    char path[256];     /* "$.resource_limits.memory_mb"; "$" for the whole card */
    char found[128];    /* "the string \"4G\"", "nothing", "a duplicate key" */
    char expected[256]; /* "an integer from 16 to 16777216 (MiB)" */
};

/* Parses and validates the text of a card. 0 with a card for card_free(); -EINVAL with *ret_error
 * filled; -ENOMEM. */
int card_parse_text(const char *text, size_t size, struct card **ret, struct card_error *ret_error);

/* The same from JSON that was already parsed (with JSON_REJECT_DUPLICATES). Faults are told in the
 * order in which they stand in the card, missing keys last. */
int card_parse(const json_t *json, struct card **ret, struct card_error *ret_error);

/* The card with its defaults filled in; environment values are replaced by "(set)", since people
 * put secrets there, and the user and password of the proxy by "***". It is a valid card again.
 * New reference, or NULL without memory. */
json_t *card_to_json(const struct card *card);

/* The preset that an agent of this card gets, borrowed: the one it names; for a card that has only
 * a command, that of its program, if there is one (command_has_preset); for a card that has
 * neither, the default. NULL: none. */
const char *card_preset(const struct card *card);

/* The name that a preset of the command's program would have, borrowed from the card; NULL if it
 * can have none, or the card does not leave it to the command. */
const char *card_command_preset(const struct card *card);

/* "$.x: found Y, expected Z" into a buffer, always terminated. */
void card_error_format(const struct card_error *error, char *buffer, size_t size);

struct card *card_free(struct card *card);
DEFINE_CLEANUP(struct card, card_free);

const char *api_provider_to_string(enum api_provider provider);
int api_provider_from_string(const char *name, enum api_provider *ret); /* 0 or -EINVAL */

/* "ANTHROPIC_API_KEY", ...: the variable in which the provider's tools look for the key. */
const char *api_provider_key_variable(enum api_provider provider);

/* The pattern allowed when a card lists no host ("api.anthropic.com:443"), NULL for custom. */
const char *api_provider_host(enum api_provider provider);
