/* What a key of a rule means that is left out. */
#include "caged-limits.h"
#include "host-pattern.h"
#include "site-policy-parse.h"

static const struct {
    const char *key;
    size_t offset; /* of a list */
    const char *item;
} default_items[] = {
    {"workspace_roots", offsetof(struct policy_rule, workspace_roots), "/"},
    {"allowed_hosts", offsetof(struct policy_rule, allowed_hosts.texts), "*;sni=any"},
    {"environment", offsetof(struct policy_rule, environment), "*"},
    {"presets", offsetof(struct policy_rule, presets), "*"},
    {"seccomp_profiles", offsetof(struct policy_rule, seccomp_profiles), "default"},
};

void policy_rule_set_numbers(struct policy_rule *rule)
{
    rule->max_agents = AGENTS_PER_UID_MAX;
    rule->command = rule->transparent = true;
    for (size_t i = 0; i < CARD_LIMIT_COUNT; i++)
        *card_limit(&rule->limits, (enum card_limit)i) = UINT64_MAX;
}

static int set_default_items(struct policy_rule *rule, const json_t *json)
{
    for (size_t i = 0; i < ARRAY_SIZE(default_items); i++) {
        struct string_list *list =
            (struct string_list *)(void *)((char *)rule + default_items[i].offset);
        if (json_object_get(json, default_items[i].key))
            continue;
        int r = string_list_append(list, default_items[i].item);
        if (r < 0)
            return r;
    }
    return 0;
}

static int set_hosts(struct policy_hosts *hosts)
{
    const char *why;

    hosts->patterns = calloc(MAX_OF(hosts->texts.count, (size_t)1), sizeof(*hosts->patterns));
    if (!hosts->patterns)
        return -ENOMEM;
    for (size_t i = 0; i < hosts->texts.count; i++)
        (void)host_pattern_parse_ceiling(hosts->texts.items[i], &hosts->patterns[i], &why);
    return 0;
}

int policy_rule_set_lists(struct policy_rule *rule, const json_t *json)
{
    int r = set_default_items(rule, json);

    if (r == 0)
        r = set_hosts(&rule->allowed_hosts);
    if (r == 0)
        r = set_hosts(&rule->private_hosts);
    return r < 0 ? r : set_hosts(&rule->parent_proxies);
}
