/* A card held against a rule. One table of checks says yes or no to a card and explains itself to
 * people: so what is explained can never be other than what is done. A check looks at the card,
 * and writes what becomes of it into `struct held`, from where it goes to the card if all agree. */
#include <stdarg.h>
#include <stdio.h>

#include "caged-limits.h"
#include "card-parse.h"
#include "site-policy.h"

#define NO_LIMIT "no limit"
#define NONE "none"
#define USUAL_IO_WEIGHT 100 /* of a cgroup to which none was given: the kernel's cgroup-v2.rst */

struct held {
    struct card_limits limits;
    uint64_t ttl_seconds;
};

struct check {
    const char *key;
    /* 0 or -EPERM with the error; NULL: nothing of the card is asked. */
    int (*hold)(const struct check *check, const struct policy_rule *rule, const struct card *card,
                struct held *held, struct card_error *error);
    /* New texts, NULL without memory. No `effective`: what is asked. */
    char *(*ceiling)(const struct check *check, const struct policy_rule *rule);
    char *(*asked)(const struct check *check, const struct card *card);
    char *(*effective)(const struct check *check, const struct held *held);
    enum card_limit limit; /* for limits */
    size_t offset;         /* in the rule, for what is not a limit */
};

#define OF_RULE(check, rule, type)                                                                 \
    ((const type *)(const void *)((const char *)(rule) + (check)->offset))

/* -- texts -- */

static char *format(const char *text, ...) PRINTF_LIKE(1, 2);
static char *format(const char *text, ...)
{
    char *result;
    va_list arguments;

    va_start(arguments, text);
    int n = vasprintf(&result, text, arguments);
    va_end(arguments);
    return n < 0 ? NULL : result;
}

static char *join(const struct string_list *list)
{
    size_t size = 1;
    char *text, *end;

    for (size_t i = 0; i < list->count; i++)
        size += strlen(list->items[i]) + 2;
    if (list->count == 0)
        return strdup(NONE);
    text = end = malloc(size);
    for (size_t i = 0; text && i < list->count; i++) {
        end = stpcpy(end, i > 0 ? ", " : "");
        end = stpcpy(end, list->items[i]);
    }
    return text;
}

static char *number_or(uint64_t number, const char *none)
{
    return number > 0 ? format("%ju", (uintmax_t)number) : strdup(none);
}

static int refuse(struct card_error *error, const char *found, const char *format, ...)
    PRINTF_LIKE(3, 4);
static int refuse(struct card_error *error, const char *found, const char *expected, ...)
{
    va_list arguments;

    (void)snprintf(error->found, sizeof(error->found), "%s", found);
    va_start(arguments, expected);
    (void)vsnprintf(error->expected, sizeof(error->expected), expected, arguments);
    va_end(arguments);
    return -EPERM;
}

static int refuse_number(struct card_error *error, uint64_t found, uint64_t ceiling)
{
    char text[sizeof(error->found)];

    (void)snprintf(text, sizeof(text), "%ju", (uintmax_t)found);
    return refuse(error, text, "at most %ju", (uintmax_t)ceiling);
}

/* -- limits -- */

/* What a limit amounts to that a card does not have (0). */
static uint64_t limit_unset(enum card_limit limit, const struct held *held)
{
    switch (limit) {
    case CARD_LIMIT_SWAP:
        return 0;
    case CARD_LIMIT_MEMORY_HIGH: /* it uses no more than all that it has */
        return held->limits.memory_mb;
    case CARD_LIMIT_IO_WEIGHT:
        return USUAL_IO_WEIGHT;
    default:
        return UINT64_MAX;
    }
}

static uint64_t rule_limit(const struct policy_rule *rule, enum card_limit limit)
{
    struct card_limits limits = rule->limits;

    return *card_limit(&limits, limit);
}

static int hold_limit(const struct check *check, const struct policy_rule *rule,
                      const struct card *card, struct held *held, struct card_error *error)
{
    uint64_t *value = card_limit(&held->limits, check->limit);
    uint64_t ceiling = rule_limit(rule, check->limit);
    uint64_t amount = *value > 0 ? *value : limit_unset(check->limit, held);

    if (amount <= ceiling)
        return 0;
    if (card->limits_given & 1u << check->limit)
        return refuse_number(error, *value, ceiling);
    *value = ceiling;
    return 0;
}

/* Besides its own ceiling there is the memory that is left: behind that row in the table. */
static int hold_memory_high(const struct check *check, const struct policy_rule *rule,
                            const struct card *card, struct held *held, struct card_error *error)
{
    char found[sizeof(error->found)];

    if (held->limits.memory_high_mb <= held->limits.memory_mb)
        return hold_limit(check, rule, card, held, error);
    (void)snprintf(found, sizeof(found), "%ju", (uintmax_t)held->limits.memory_high_mb);
    return refuse(error, found, "at most memory_mb, which is %ju here",
                  (uintmax_t)held->limits.memory_mb);
}

static char *limit_ceiling(const struct check *check, const struct policy_rule *rule)
{
    uint64_t ceiling = rule_limit(rule, check->limit);

    return ceiling == UINT64_MAX ? strdup(NO_LIMIT) : format("%ju", (uintmax_t)ceiling);
}

static char *limit_text(uint64_t value, enum card_limit limit, const char *comment)
{
    if (value == 0 && limit != CARD_LIMIT_SWAP)
        return strdup(NONE);
    return format("%ju%s", (uintmax_t)value, comment);
}

static char *limit_asked(const struct check *check, const struct card *card)
{
    struct card_limits limits = card->limits;
    bool given = card->limits_given & 1u << check->limit;

    return limit_text(*card_limit(&limits, check->limit), check->limit, given ? "" : " (default)");
}

static char *limit_effective(const struct check *check, const struct held *held)
{
    struct card_limits limits = held->limits;

    return limit_text(*card_limit(&limits, check->limit), check->limit, "");
}

/* -- time to live -- */

static int hold_ttl(const struct check *check, const struct policy_rule *rule,
                    const struct card *card, struct held *held, struct card_error *error)
{
    if (rule->max_ttl_seconds == 0 ||
        (card->ttl_seconds > 0 && card->ttl_seconds <= rule->max_ttl_seconds))
        return 0;
    if (card->ttl_seconds > 0)
        return refuse_number(error, card->ttl_seconds, rule->max_ttl_seconds);
    held->ttl_seconds = rule->max_ttl_seconds;
    return 0;
}

static char *ttl_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return number_or(rule->max_ttl_seconds, NO_LIMIT);
}

static char *ttl_asked(const struct check *check, const struct card *card)
{
    return number_or(card->ttl_seconds, NONE);
}

static char *ttl_effective(const struct check *check, const struct held *held)
{
    return number_or(held->ttl_seconds, NONE);
}

/* -- hosts -- */

static bool hosts_cover(const struct policy_hosts *hosts, const struct host_pattern *entry)
{
    for (size_t i = 0; i < hosts->texts.count; i++)
        if (host_pattern_covers(&hosts->patterns[i], entry))
            return true;
    return false;
}

static int refuse_host(struct card_error *error, const char *what, const char *text,
                       const char *key, const struct policy_hosts *hosts)
{
    char found[sizeof(error->found)];
    AUTO_FREE char *all = join(&hosts->texts);

    (void)snprintf(found, sizeof(found), "%s \"%.80s%s\"", what, text,
                   strlen(text) > 80 ? "..." : "");
    return refuse(error, found, "what is within %s of the rule (%s)", key, all ? all : "...");
}

static int hold_entry(const struct policy_rule *rule, const char *text, struct card_error *error)
{
    struct host_pattern entry;
    const char *why;

    if (host_pattern_parse(text, &entry, &why) < 0)
        return refuse(error, "what is no host", "%s", why);
    bool special = host_pattern_is_special(&entry);
    const struct policy_hosts *hosts = special ? &rule->private_hosts : &rule->allowed_hosts;
    if (hosts_cover(hosts, &entry))
        return 0;
    return refuse_host(error, special ? "the private entry" : "the entry", text,
                       special ? "private_hosts" : "allowed_hosts", hosts);
}

static int hold_allowed_hosts(const struct check *check, const struct policy_rule *rule,
                              const struct card *card, struct held *held, struct card_error *error)
{
    const char *host = api_provider_host(card->api_provider);

    if (card->allowed_hosts.count == 0)
        return host ? hold_entry(rule, host, error) : 0;
    size_t used = strlen(error->path);
    for (size_t i = 0; i < card->allowed_hosts.count; i++) {
        json_path_append_index(error->path, sizeof(error->path), i);
        if (hold_entry(rule, card->allowed_hosts.items[i], error) < 0)
            return -EPERM;
        error->path[used] = '\0';
    }
    return 0;
}

/* Names that may lead to private addresses, on whatever port is allowed: now or later, while the
 * agent runs. So consent to one port is not consent to the name. */
static int hold_private_hosts(const struct check *check, const struct policy_rule *rule,
                              const struct card *card, struct held *held, struct card_error *error)
{
    size_t used = strlen(error->path);

    for (size_t i = 0; i < card->private_hosts.count; i++) {
        const char *text = card->private_hosts.items[i], *why;
        struct host_pattern entry;
        json_path_append_index(error->path, sizeof(error->path), i);
        if (host_pattern_parse(text, &entry, &why) < 0)
            return refuse(error, "what is no host", "%s", why);
        entry.any_port = true;
        if (!hosts_cover(&rule->private_hosts, &entry))
            return refuse_host(error, "every port of", text, "private_hosts", &rule->private_hosts);
        error->path[used] = '\0';
    }
    return 0;
}

/* Behind "http://" and a user: host:port, which the card's validator has seen. */
static const char *proxy_authority(const char *proxy)
{
    const char *at = strrchr(proxy, '@');

    return at ? at + 1 : proxy + strlen("http://");
}

static int hold_proxy(const struct check *check, const struct policy_rule *rule,
                      const struct card *card, struct held *held, struct card_error *error)
{
    struct host_pattern proxy;
    const char *why;

    if (!card->proxy)
        return 0;
    const char *authority = proxy_authority(card->proxy);
    if (host_pattern_parse(authority, &proxy, &why) < 0)
        return refuse(error, "a proxy that no rule can cover", "%s", why);
    if (hosts_cover(&rule->parent_proxies, &proxy))
        return 0;
    return refuse_host(error, "the proxy", authority, "parent_proxies", &rule->parent_proxies);
}

static char *hosts_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return join(&OF_RULE(check, rule, struct policy_hosts)->texts);
}

static char *allowed_hosts_asked(const struct check *check, const struct card *card)
{
    const char *host = api_provider_host(card->api_provider);

    if (card->allowed_hosts.count > 0)
        return join(&card->allowed_hosts);
    return host ? format("%s (default)", host) : strdup(NONE);
}

static char *private_hosts_asked(const struct check *check, const struct card *card)
{
    return join(&card->private_hosts);
}

static char *proxy_asked(const struct check *check, const struct card *card)
{
    return card->proxy ? strdup(proxy_authority(card->proxy)) : strdup(NONE);
}

/* -- names -- */

/* "*" stands for all, and at the end of a name for whatever follows there. */
static bool word_matches(const char *pattern, const char *word)
{
    size_t length = strcspn(pattern, "*");

    return pattern[length] == '*' ? strncmp(pattern, word, length) == 0 : streq(pattern, word);
}

static bool words_have(const struct string_list *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (word_matches(words->items[i], word))
            return true;
    return false;
}

static int refuse_word(const struct check *check, const struct policy_rule *rule, const char *what,
                       const char *word, struct card_error *error)
{
    char found[sizeof(error->found)];
    AUTO_FREE char *all = join(OF_RULE(check, rule, struct string_list));

    (void)snprintf(found, sizeof(found), "%s \"%.80s%s\"", what, word,
                   strlen(word) > 80 ? "..." : "");
    return refuse(error, found, "one of: %s", all ? all : "...");
}

static char *words_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return join(OF_RULE(check, rule, struct string_list));
}

static int hold_environment(const struct check *check, const struct policy_rule *rule,
                            const struct card *card, struct held *held, struct card_error *error)
{
    for (size_t i = 0; i < card->n_environment; i++) {
        const char *name = card->environment[i].name;
        if (words_have(&rule->environment, name))
            continue;
        json_path_append_key(error->path, sizeof(error->path), name, strlen(name));
        return refuse_word(check, rule, "the variable", name, error);
    }
    return 0;
}

static char *environment_asked(const struct check *check, const struct card *card)
{
    struct string_list names = {};
    char *text = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < card->n_environment; i++)
        r = string_list_append(&names, card->environment[i].name);
    if (r == 0)
        text = join(&names);
    string_list_deinit(&names);
    return text;
}

/* A card with a command alone has no preset but for that program's configuration. */
static const char *card_preset(const struct card *card)
{
    if (card->agent)
        return card->agent;
    return card->command.count > 0 ? NULL : CARD_PRESET_DEFAULT;
}

static int hold_preset(const struct check *check, const struct policy_rule *rule,
                       const struct card *card, struct held *held, struct card_error *error)
{
    const char *preset = card_preset(card);

    return !preset || words_have(&rule->presets, preset)
               ? 0
               : refuse_word(check, rule, "the preset", preset, error);
}

static char *preset_asked(const struct check *check, const struct card *card)
{
    const char *preset = card_preset(card);

    return preset ? format("%s%s", preset, card->agent ? "" : " (default)") : strdup(NONE);
}

static const char *card_seccomp_profile(const struct card *card)
{
    return card->seccomp_profile ? card->seccomp_profile : CARD_SECCOMP_PROFILE_DEFAULT;
}

static int hold_seccomp_profile(const struct check *check, const struct policy_rule *rule,
                                const struct card *card, struct held *held,
                                struct card_error *error)
{
    const char *name = card_seccomp_profile(card);

    return words_have(&rule->seccomp_profiles, name)
               ? 0
               : refuse_word(check, rule, "the seccomp profile", name, error);
}

static char *seccomp_profile_asked(const struct check *check, const struct card *card)
{
    return format("%s%s", card_seccomp_profile(card), card->seccomp_profile ? "" : " (default)");
}

/* -- yes or no -- */

static char *flag_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return strdup(*OF_RULE(check, rule, bool) ? "yes" : "no");
}

static int hold_command(const struct check *check, const struct policy_rule *rule,
                        const struct card *card, struct held *held, struct card_error *error)
{
    return rule->command || card->command.count == 0
               ? 0
               : refuse(error, "a command of its own", "a preset alone");
}

static char *command_asked(const struct check *check, const struct card *card)
{
    return strdup(card->command.count > 0 ? "yes" : "no");
}

static int hold_transparent(const struct check *check, const struct policy_rule *rule,
                            const struct card *card, struct held *held, struct card_error *error)
{
    return rule->transparent || !card->transparent ? 0 : refuse(error, "true", "false");
}

static char *transparent_asked(const struct check *check, const struct card *card)
{
    return strdup(card->transparent ? "yes" : "no");
}

static int hold_protect(const struct check *check, const struct policy_rule *rule,
                        const struct card *card, struct held *held, struct card_error *error)
{
    return rule->unprotected || card->protect_git ? 0 : refuse(error, "none", "\"git\"");
}

static char *protect_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return strdup(rule->unprotected ? "may be left out" : "git");
}

static char *protect_asked(const struct check *check, const struct card *card)
{
    return strdup(card->protect_git ? "git" : NONE);
}

/* -- mounts: that there is a folder below which they may be; whether they are, their descriptors
 * tell -- */

static const struct string_list *mount_roots(const struct policy_rule *rule,
                                             const struct card_mount *mount)
{
    return mount->readonly ? &rule->mount_roots : &rule->writable_mount_roots;
}

static int hold_mounts(const struct check *check, const struct policy_rule *rule,
                       const struct card *card, struct held *held, struct card_error *error)
{
    char found[sizeof(error->found)];

    for (size_t i = 0; i < card->n_mounts; i++) {
        const struct card_mount *mount = &card->mounts[i];
        if (mount_roots(rule, mount)->count > 0)
            continue;
        json_path_append_index(error->path, sizeof(error->path), i);
        (void)snprintf(found, sizeof(found), "a %s mount",
                       mount->readonly ? "read-only" : "writable");
        return refuse(error, found, "none: %s of the rule is empty",
                      mount->readonly ? "mount_roots" : "writable_mount_roots");
    }
    return 0;
}

static char *mounts_ceiling(const struct check *check, const struct policy_rule *rule)
{
    AUTO_FREE char *readonly = join(&rule->mount_roots);
    AUTO_FREE char *writable = join(&rule->writable_mount_roots);

    return readonly && writable ? format("read-only: %s; writable: %s", readonly, writable) : NULL;
}

static char *mounts_asked(const struct check *check, const struct card *card)
{
    struct string_list sources = {};
    char *text = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < card->n_mounts; i++)
        r = string_list_append(&sources, card->mounts[i].source);
    if (r == 0)
        text = join(&sources);
    string_list_deinit(&sources);
    return text;
}

/* -- what is no key of the card, or asked of descriptors -- */

static char *count_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return format("%ju", (uintmax_t)*OF_RULE(check, rule, uint64_t));
}

static char *number_ceiling(const struct check *check, const struct policy_rule *rule)
{
    return number_or(*OF_RULE(check, rule, uint64_t), NO_LIMIT);
}

static char *total_memory_ceiling(const struct check *check, const struct policy_rule *rule)
{
    if (rule->total.memory_percent > 0)
        return format("%ju%% of the host's", (uintmax_t)rule->total.memory_percent);
    return number_or(rule->total.memory_mb, NO_LIMIT);
}

static char *one_agent(const struct check *check, const struct card *card)
{
    return strdup("1");
}

static char *memory_asked(const struct check *check, const struct card *card)
{
    return format("%ju", (uintmax_t)card->limits.memory_mb);
}

static char *processes_asked(const struct check *check, const struct card *card)
{
    return format("%ju", (uintmax_t)card->limits.max_processes);
}

static char *workspace_asked(const struct check *check, const struct card *card)
{
    return strdup(card->workspace);
}

static char *when_spawned(const struct check *check, const struct held *held)
{
    return strdup("asked of the folder when it is spawned");
}

/* -- the table -- */

#define LIMIT(field, LIMIT_, holder)                                                               \
    {                                                                                              \
        .key = "resource_limits." #field, .hold = holder, .ceiling = limit_ceiling,                \
        .asked = limit_asked, .effective = limit_effective, .limit = LIMIT_                        \
    }

#define RULE_OFFSET(field) .offset = offsetof(struct policy_rule, field)

static const struct check checks[] = {
    {.key = "max_agents", .ceiling = count_ceiling, .asked = one_agent, RULE_OFFSET(max_agents)},
    {.key = "spawns_per_minute",
     .ceiling = number_ceiling,
     .asked = one_agent,
     RULE_OFFSET(spawns_per_minute)},
    {.key = "total.memory_mb", .ceiling = total_memory_ceiling, .asked = memory_asked},
    {.key = "total.max_processes",
     .ceiling = number_ceiling,
     .asked = processes_asked,
     RULE_OFFSET(total.max_processes)},
    {.key = "agent",
     .hold = hold_preset,
     .ceiling = words_ceiling,
     .asked = preset_asked,
     RULE_OFFSET(presets)},
    {.key = "workspace",
     .ceiling = words_ceiling,
     .asked = workspace_asked,
     .effective = when_spawned,
     RULE_OFFSET(workspace_roots)},
    {.key = "command",
     .hold = hold_command,
     .ceiling = flag_ceiling,
     .asked = command_asked,
     RULE_OFFSET(command)},
    {.key = "proxy",
     .hold = hold_proxy,
     .ceiling = hosts_ceiling,
     .asked = proxy_asked,
     RULE_OFFSET(parent_proxies)},
    LIMIT(memory_mb, CARD_LIMIT_MEMORY, hold_limit),
    LIMIT(memory_high_mb, CARD_LIMIT_MEMORY_HIGH, hold_memory_high),
    LIMIT(swap_mb, CARD_LIMIT_SWAP, hold_limit),
    LIMIT(cpu_shares, CARD_LIMIT_CPU_SHARES, hold_limit),
    LIMIT(cpu_quota_percent, CARD_LIMIT_CPU_QUOTA, hold_limit),
    LIMIT(io_weight, CARD_LIMIT_IO_WEIGHT, hold_limit),
    LIMIT(io_read_bps, CARD_LIMIT_IO_READ_BPS, hold_limit),
    LIMIT(io_write_bps, CARD_LIMIT_IO_WRITE_BPS, hold_limit),
    LIMIT(io_read_iops, CARD_LIMIT_IO_READ_IOPS, hold_limit),
    LIMIT(io_write_iops, CARD_LIMIT_IO_WRITE_IOPS, hold_limit),
    LIMIT(max_processes, CARD_LIMIT_PROCESSES, hold_limit),
    LIMIT(max_open_files, CARD_LIMIT_OPEN_FILES, hold_limit),
    {.key = "allowed_hosts",
     .hold = hold_allowed_hosts,
     .ceiling = hosts_ceiling,
     .asked = allowed_hosts_asked,
     RULE_OFFSET(allowed_hosts)},
    {.key = "private_hosts",
     .hold = hold_private_hosts,
     .ceiling = hosts_ceiling,
     .asked = private_hosts_asked,
     RULE_OFFSET(private_hosts)},
    {.key = "ttl_seconds",
     .hold = hold_ttl,
     .ceiling = ttl_ceiling,
     .asked = ttl_asked,
     .effective = ttl_effective},
    {.key = "mounts", .hold = hold_mounts, .ceiling = mounts_ceiling, .asked = mounts_asked},
    {.key = "protect", .hold = hold_protect, .ceiling = protect_ceiling, .asked = protect_asked},
    {.key = "seccomp_profile",
     .hold = hold_seccomp_profile,
     .ceiling = words_ceiling,
     .asked = seccomp_profile_asked,
     RULE_OFFSET(seccomp_profiles)},
    {.key = "transparent",
     .hold = hold_transparent,
     .ceiling = flag_ceiling,
     .asked = transparent_asked,
     RULE_OFFSET(transparent)},
    {.key = "environment",
     .hold = hold_environment,
     .ceiling = words_ceiling,
     .asked = environment_asked,
     RULE_OFFSET(environment)},
};

static struct held held_of(const struct card *card)
{
    return (struct held){.limits = card->limits, .ttl_seconds = card->ttl_seconds};
}

static int run_check(const struct check *check, const struct policy_rule *rule,
                     const struct card *card, struct held *held, struct card_error *error)
{
    *error = (struct card_error){};
    (void)snprintf(error->path, sizeof(error->path), "$.%s", check->key);
    return check->hold ? check->hold(check, rule, card, held, error) : 0;
}

int policy_rule_hold(const struct policy_rule *rule, struct card *card,
                     struct card_error *ret_error)
{
    struct held held = held_of(card);
    struct card_error error;

    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        if (run_check(&checks[i], rule, card, &held, &error) == 0)
            continue;
        *ret_error = error;
        return -EPERM;
    }
    card->limits = held.limits;
    card->ttl_seconds = held.ttl_seconds;
    return 0;
}

/* -- the same in words -- */

static json_t *explain_check(const struct check *check, const struct policy_rule *rule,
                             const struct card *card, struct held *held)
{
    struct card_error error;
    char reason[sizeof(error.found) + sizeof(error.expected) + 32];
    int r = run_check(check, rule, card, held, &error);
    AUTO_FREE char *ceiling = check->ceiling(check, rule);
    AUTO_FREE char *asked = check->asked(check, card);
    AUTO_FREE char *effective = check->effective ? check->effective(check, held)
                                : asked          ? strdup(asked)
                                                 : NULL;

    if (!ceiling || !asked || !effective)
        return NULL;
    json_t *row =
        json_pack("{s:s, s:o, s:o, s:o, s:b}", "key", check->key, "ceiling",
                  json_string_lossy(ceiling), "asked", json_string_lossy(asked), "effective",
                  json_string_lossy(r < 0 ? "refused" : effective), "ok", r == 0);
    if (!row || r == 0)
        return row;
    (void)snprintf(reason, sizeof(reason), "found %s, expected %s", error.found, error.expected);
    if (json_object_set_new(row, "reason", json_string_lossy(reason)) < 0) {
        json_decref(row);
        return NULL;
    }
    return row;
}

json_t *policy_rule_explain(const struct policy_rule *rule, const struct card *card)
{
    struct held held = held_of(card);
    json_t *rows = json_array();

    for (size_t i = 0; rows && i < ARRAY_SIZE(checks); i++) {
        if (json_array_append_new(rows, explain_check(&checks[i], rule, card, &held)) < 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

int policy_rule_hold_host(const struct policy_rule *rule, const char *entry, const char **ret_why)
{
    struct host_pattern pattern;
    int r = host_pattern_parse(entry, &pattern, ret_why);

    if (r < 0)
        return r;
    if (!rule) {
        *ret_why = "no rule of the site policy is for the agent's owner any more";
        return -EPERM;
    }
    bool special = host_pattern_is_special(&pattern);
    if (hosts_cover(special ? &rule->private_hosts : &rule->allowed_hosts, &pattern))
        return 0;
    *ret_why = special ? "it is not globally routable, and not within private_hosts of the rule of "
                         "the site policy that is for the agent's owner"
                       : "it is not within allowed_hosts of the rule of the site policy that is "
                         "for the agent's owner";
    return -EPERM;
}
