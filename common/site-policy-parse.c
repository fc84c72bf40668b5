/* From JSON to a site policy: the tables of its keys, and what keys mean together. */
#include <stdio.h>

#include "caged-limits.h"
#include "host-pattern.h"
#include "site-policy-parse.h"

#define RULE(w) ((struct policy_rule *)(w)->object)

/* -- users, groups -- */

static int finish_who(struct json_walk *w, struct policy_who *who)
{
    for (size_t i = 0; i < who->users.count; i++)
        who->everybody = who->everybody || streq(who->users.items[i], "*");
    if (who->users.count + who->groups.count > 0)
        return 0;
    return json_walk_refuse(w, "nobody whom it is for", "users, groups or both");
}

#define WHO_KEY(field, of)                                                                         \
    {                                                                                              \
        .name = #field, .type = JSON_ARRAY,                                                        \
        .expected = "an array of 1 to " STRINGIFY(POLICY_NAMES_MAX) " " #field,                    \
        .parse = policy_parse_##field, .offset = offsetof(of, who.field), .max = POLICY_NAMES_MAX  \
    }

/* -- a rule -- */

static int parse_rule_name(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    const char *name = json_string_value(value);
    size_t length = strlen(name);

    if (length == 0 || length > POLICY_RULE_NAME_MAX || name[0] == ' ' || name[length - 1] == ' ' ||
        strspn(name, POLICY_RULE_NAME_CHARACTERS) != length)
        return json_walk_refuse_value(w, value, false, "%s", key->expected);
    RULE(w)->name = strdup(name);
    return RULE(w)->name ? 0 : -ENOMEM;
}

static int parse_limits(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    struct policy_rule *rule = RULE(w);

    w->object = &rule->limits;
    int r = json_walk_object(w, value, card_limit_keys, CARD_LIMIT_COUNT);
    w->object = rule;
    return r;
}

static const struct json_key total_keys[] = {
    {.name = "memory_mb",
     .type = JSON_INTEGER,
     .expected = "MiB",
     .parse = json_walk_integer,
     .offset = offsetof(struct policy_rule, total.memory_mb),
     .min = CARD_MEMORY_MB_MIN,
     .max = CARD_MEMORY_MB_MAX},
    {.name = "memory_percent",
     .type = JSON_INTEGER,
     .expected = "percent of the host's memory",
     .parse = json_walk_integer,
     .offset = offsetof(struct policy_rule, total.memory_percent),
     .min = 1,
     .max = POLICY_PERCENT_MAX},
    {.name = "max_processes",
     .type = JSON_INTEGER,
     .expected = "processes and threads",
     .parse = json_walk_integer,
     .offset = offsetof(struct policy_rule, total.max_processes),
     .min = CARD_PROCESSES_MIN,
     .max = CARD_PROCESSES_MAX},
};

static int parse_total(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    int r = json_walk_object(w, value, total_keys, ARRAY_SIZE(total_keys));

    if (r < 0)
        return r;
    if (RULE(w)->total.memory_mb > 0 && RULE(w)->total.memory_percent > 0)
        return json_walk_refuse(w, "memory_mb and memory_percent", "one of the two");
    return 0;
}

static int parse_access(struct json_walk *w, const struct json_key *key, const json_t *value);

#define LIST_KEY(field, parser, most, what)                                                        \
    {                                                                                              \
        .name = #field, .type = JSON_ARRAY,                                                        \
        .expected = "an array of at most " STRINGIFY(most) " " what, .parse = parser,              \
        .offset = offsetof(struct policy_rule, field), .max = most                                 \
    }

#define FLAG_KEY(field)                                                                            \
    {                                                                                              \
        .name = #field, .type = JSON_TRUE, .expected = "true or false",                            \
        .parse = json_walk_boolean, .offset = offsetof(struct policy_rule, field)                  \
    }

static const struct json_key rule_keys[] = {
    {.name = "name",
     .type = JSON_STRING,
     .expected = "1 to " STRINGIFY(POLICY_RULE_NAME_MAX) " letters, digits, spaces and \"-_.\", "
                                                         "without a space at either end",
     .parse = parse_rule_name},
    WHO_KEY(users, struct policy_rule),
    WHO_KEY(groups, struct policy_rule),
    {.name = "max_agents",
     .type = JSON_INTEGER,
     .expected = "agents of one user at once",
     .parse = json_walk_integer,
     .offset = offsetof(struct policy_rule, max_agents),
     .max = AGENTS_MAX},
    {.name = "spawns_per_minute",
     .type = JSON_INTEGER,
     .expected = "spawns of one user",
     .parse = json_walk_integer,
     .offset = offsetof(struct policy_rule, spawns_per_minute),
     .min = 1,
     .max = POLICY_SPAWNS_MAX},
    {.name = "resource_limits",
     .type = JSON_OBJECT,
     .expected = "an object with the most that a card may have: memory_mb, max_processes, ...",
     .parse = parse_limits},
    {.name = "total",
     .type = JSON_OBJECT,
     .expected = "an object with memory_mb or memory_percent, and max_processes",
     .parse = parse_total},
    {.name = "max_ttl_seconds",
     .type = JSON_INTEGER,
     .expected = "seconds",
     .parse = json_walk_integer,
     .offset = offsetof(struct policy_rule, max_ttl_seconds),
     .min = 1,
     .max = CARD_TTL_MAX},
    LIST_KEY(workspace_roots, policy_parse_roots, POLICY_ROOTS_MAX, "folders"),
    LIST_KEY(mount_roots, policy_parse_roots, POLICY_ROOTS_MAX, "folders"),
    LIST_KEY(writable_mount_roots, policy_parse_roots, POLICY_ROOTS_MAX, "folders"),
    LIST_KEY(excluded_file_systems, policy_parse_file_systems, POLICY_WORDS_MAX, "types"),
    LIST_KEY(allowed_hosts, policy_parse_hosts, POLICY_HOSTS_MAX, "hosts"),
    LIST_KEY(private_hosts, policy_parse_hosts, POLICY_HOSTS_MAX, "hosts"),
    LIST_KEY(parent_proxies, policy_parse_hosts, POLICY_HOSTS_MAX, "hosts"),
    LIST_KEY(environment, policy_parse_variables, POLICY_WORDS_MAX, "names of variables"),
    LIST_KEY(presets, policy_parse_words, POLICY_WORDS_MAX, "names of presets"),
    LIST_KEY(seccomp_profiles, policy_parse_words, POLICY_WORDS_MAX, "names of profiles"),
    FLAG_KEY(command),
    FLAG_KEY(transparent),
    FLAG_KEY(unprotected),
    FLAG_KEY(namespaced_peers),
    {.name = "access",
     .type = JSON_ARRAY,
     .expected =
         "an array of at most " STRINGIFY(POLICY_ACCESS_MAX) " objects {users, groups, may}",
     .parse = parse_access},
};

/* -- what others may do -- */

static const char *right_fault(const char *text)
{
    enum policy_right right;

    return policy_right_from_string(text, &right) < 0 ? "there is no other right" : NULL;
}

static int parse_may(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    struct policy_access *access = w->object;
    struct string_list names = {};
    int r = policy_refuse_empty(w, key, value);

    if (r < 0)
        return r;
    w->object = &names;
    r = json_walk_strings(w, key, value, "\"see\", \"stop\" or \"change\"", right_fault, true);
    w->object = access;
    access->rights = 1u << POLICY_SEE;
    for (size_t i = 0; i < names.count; i++) {
        enum policy_right right = POLICY_SEE;
        (void)policy_right_from_string(names.items[i], &right);
        access->rights |= 1u << right;
    }
    string_list_deinit(&names);
    return r;
}

static const struct json_key access_keys[] = {
    WHO_KEY(users, struct policy_access),
    WHO_KEY(groups, struct policy_access),
    {.name = "may",
     .type = JSON_ARRAY,
     .required = true,
     .expected = "an array of rights: \"see\", \"stop\", \"change\"",
     .parse = parse_may,
     .max = POLICY_RIGHT_COUNT},
};

static int parse_one_access(struct json_walk *w, struct policy_access *access, const json_t *value)
{
    if (!json_is_object(value))
        return json_walk_refuse_value(w, value, false, "an object {users, groups, may}");
    w->object = access;
    int r = json_walk_object(w, value, access_keys, ARRAY_SIZE(access_keys));
    return r < 0 ? r : finish_who(w, &access->who);
}

static int parse_access(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    struct policy_rule *rule = RULE(w);
    size_t used = strlen(w->path), i, n = json_array_size(value);
    json_t *entry;

    if (n > POLICY_ACCESS_MAX)
        return json_walk_refuse_value(w, value, false, "%s", key->expected);
    rule->access = calloc(MAX_OF(n, (size_t)1), sizeof(*rule->access));
    if (!rule->access)
        return -ENOMEM;
    rule->n_access = n;
    json_array_foreach (value, i, entry) {
        json_path_append_index(w->path, sizeof(w->path), i);
        int r = parse_one_access(w, &rule->access[i], entry);
        w->object = rule;
        if (r < 0)
            return r;
        w->path[used] = '\0';
    }
    return 0;
}

/* -- a whole rule -- */

static int finish_rule(struct json_walk *w, struct policy_rule *rule, const json_t *json,
                       size_t number)
{
    int r = finish_who(w, &rule->who);

    if (r == 0)
        r = policy_rule_set_lists(rule, json);
    if (r == 0 && !rule->name && asprintf(&rule->name, "rule %zu", number) < 0) {
        rule->name = NULL;
        r = -ENOMEM;
    }
    return r;
}

/* -- the whole -- */

/* Who reads "by the rule developers" must know which. */
static int check_name_is_single(struct json_walk *w, const struct site_policy *policy, size_t i)
{
    char found[sizeof(w->error->found)];

    for (size_t other = 0; other < i; other++) {
        if (!streq(policy->rules[other].name, policy->rules[i].name))
            continue;
        json_path_append_key(w->path, sizeof(w->path), "name", strlen("name"));
        (void)snprintf(found, sizeof(found), "the name \"%s\"", policy->rules[i].name);
        return json_walk_refuse(w, found,
                                "a name that no rule before it has; that of rule %zu is "
                                "the same",
                                other + 1);
    }
    return 0;
}

static int parse_rule(struct json_walk *w, struct site_policy *policy, size_t i, const json_t *json)
{
    struct policy_rule *rule = &policy->rules[i];

    if (!json_is_object(json))
        return json_walk_refuse_value(w, json, false, "an object: a rule");
    policy_rule_set_numbers(rule);
    w->object = rule;
    int r = json_walk_object(w, json, rule_keys, ARRAY_SIZE(rule_keys));
    if (r == 0)
        r = finish_rule(w, rule, json, i + 1);
    return r < 0 ? r : check_name_is_single(w, policy, i);
}

static int parse_rules(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    struct site_policy *policy = w->object;
    size_t used = strlen(w->path), i, n = json_array_size(value);
    json_t *rule;

    if (n > POLICY_RULES_MAX)
        return json_walk_refuse_value(w, value, false, "%s", key->expected);
    policy->rules = calloc(MAX_OF(n, (size_t)1), sizeof(*policy->rules));
    if (!policy->rules)
        return -ENOMEM;
    policy->n_rules = n;
    json_array_foreach (value, i, rule) {
        json_path_append_index(w->path, sizeof(w->path), i);
        int r = parse_rule(w, policy, i, rule);
        w->object = policy;
        if (r < 0)
            return r;
        w->path[used] = '\0';
    }
    return 0;
}

static const struct json_key policy_keys[] = {
    {.name = "$schema",
     .type = JSON_STRING,
     .expected = "the address of a schema (for editors; it has no effect)",
     .parse = json_walk_ignored},
    {.name = "rules",
     .type = JSON_ARRAY,
     .required = true,
     .expected = "an array of at most " STRINGIFY(POLICY_RULES_MAX) " rules",
     .parse = parse_rules},
};

static int parse_json(struct json_walk *w, const json_t *json, struct site_policy **ret)
{
    CLEANUP(site_policy_freep) struct site_policy *policy = calloc(1, sizeof(*policy));

    if (!policy)
        return -ENOMEM;
    if (!json_is_object(json))
        return json_walk_refuse_value(w, json, false, "an object: the policy");
    w->object = policy;
    int r = json_walk_object(w, json, policy_keys, ARRAY_SIZE(policy_keys));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(policy);
    return 0;
}

int site_policy_parse_text(const char *text, size_t size, struct site_policy **ret,
                           struct policy_error *ret_error)
{
    struct json_walk w = {.document = "the policy", .error = &ret_error->at, .path = "$"};
    struct json_text_error fault;
    json_t *json = NULL;

    int r = json_walk_text(&w, text, size, POLICY_SIZE_MAX, POLICY_NESTING_MAX, &json, &fault);
    if (r == -EINVAL) {
        ret_error->line = fault.line; /* 0 for a text that is too big */
        ret_error->column = fault.column;
        if (fault.line > 0)
            (void)snprintf(ret_error->at.found, sizeof(ret_error->at.found), "%s", fault.found);
    }
    if (r < 0)
        return r;
    r = parse_json(&w, json, ret);
    if (r == -EINVAL)
        json_text_locate(text, size, ret_error->at.path, &ret_error->line, &ret_error->column);
    json_decref(json);
    return r;
}
