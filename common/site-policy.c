/* The site policy as an object: its memory, whose rule is which, what others may do, and an error
 * in words. What makes one is in site-policy-parse.c, what holds a card against a rule in
 * site-policy-hold.c. */
#include "site-policy.h"

#include <stdio.h>

#include "caged-limits.h"

static const char *const rights[] = {
    [POLICY_SEE] = "see",
    [POLICY_STOP] = "stop",
    [POLICY_CHANGE] = "change",
};
_Static_assert(ARRAY_SIZE(rights) == POLICY_RIGHT_COUNT, "every right has a row");

const char *policy_right_to_string(enum policy_right right)
{
    return rights[right];
}

int policy_right_from_string(const char *name, enum policy_right *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
        if (streq(rights[i], name)) {
            *ret = (enum policy_right)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* -- memory -- */

static void who_deinit(struct policy_who *who)
{
    string_list_deinit(&who->users);
    string_list_deinit(&who->groups);
    free(who->uids);
    free(who->gids);
}

static void hosts_deinit(struct policy_hosts *hosts)
{
    string_list_deinit(&hosts->texts);
    free(hosts->patterns);
}

static void rule_deinit(struct policy_rule *rule)
{
    free(rule->name);
    who_deinit(&rule->who);
    string_list_deinit(&rule->workspace_roots);
    string_list_deinit(&rule->mount_roots);
    string_list_deinit(&rule->writable_mount_roots);
    string_list_deinit(&rule->excluded_file_systems);
    hosts_deinit(&rule->allowed_hosts);
    hosts_deinit(&rule->private_hosts);
    hosts_deinit(&rule->parent_proxies);
    string_list_deinit(&rule->environment);
    string_list_deinit(&rule->presets);
    string_list_deinit(&rule->seccomp_profiles);
    for (size_t i = 0; i < rule->n_access; i++)
        who_deinit(&rule->access[i].who);
    free(rule->access);
}

struct site_policy *site_policy_free(struct site_policy *policy)
{
    if (!policy)
        return NULL;
    for (size_t i = 0; i < policy->n_rules; i++)
        rule_deinit(&policy->rules[i]);
    free(policy->rules);
    free(policy);
    return NULL;
}

/* -- whose rule -- */

static bool has_uid(const struct policy_who *who, uid_t uid)
{
    for (size_t i = 0; i < who->n_uids; i++)
        if (who->uids[i] == uid)
            return true;
    return false;
}

static bool has_gid(const struct policy_who *who, gid_t gid)
{
    for (size_t i = 0; i < who->n_gids; i++)
        if (who->gids[i] == gid)
            return true;
    return false;
}

static bool who_matches(const struct policy_who *who, const struct policy_subject *subject)
{
    if (has_uid(who, subject->uid))
        return true;
    if (subject->uid == 0) /* groups of root's, and "everybody", are not meant for it */
        return false;
    if (who->everybody || has_gid(who, subject->gid))
        return true;
    for (size_t i = 0; i < subject->n_groups; i++)
        if (has_gid(who, subject->groups[i]))
            return true;
    return false;
}

const struct policy_rule *site_policy_find(const struct site_policy *policy,
                                           const struct policy_subject *subject)
{
    for (size_t i = 0; policy && i < policy->n_rules; i++)
        if (who_matches(&policy->rules[i].who, subject))
            return &policy->rules[i];
    return subject->uid == 0 ? site_policy_root_rule() : NULL;
}

bool policy_rule_grants(const struct policy_rule *rule, const struct policy_subject *subject,
                        enum policy_right right)
{
    for (size_t i = 0; rule && i < rule->n_access; i++)
        if ((rule->access[i].rights & 1u << right) && who_matches(&rule->access[i].who, subject))
            return true;
    return false;
}

/* -- root's -- */

static char root_name[] = "root";
static char every_path[] = "/", every_word[] = "*", every_host[] = "*;sni=any";
static char *every_path_items[] = {every_path}, *every_word_items[] = {every_word},
            *every_host_items[] = {every_host};
static struct host_pattern every_host_pattern[] = {
    {.kind = HOST_PATTERN_ANY, .name = "*", .any_port = true, .any_sni = true},
};

#define EVERY_PATH                                                                                 \
    {                                                                                              \
        every_path_items, 1                                                                        \
    }
#define EVERY_WORD                                                                                 \
    {                                                                                              \
        every_word_items, 1                                                                        \
    }
#define EVERY_HOST                                                                                 \
    {                                                                                              \
        {every_host_items, 1}, every_host_pattern                                                  \
    }

static const struct policy_rule root_rule = {
    .name = root_name,
    .max_agents = AGENTS_MAX,
    .limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
               UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
    .workspace_roots = EVERY_PATH,
    .mount_roots = EVERY_PATH,
    .writable_mount_roots = EVERY_PATH,
    .allowed_hosts = EVERY_HOST,
    .private_hosts = EVERY_HOST,
    .parent_proxies = EVERY_HOST,
    .environment = EVERY_WORD,
    .presets = EVERY_WORD,
    .seccomp_profiles = EVERY_WORD,
    .command = true,
    .transparent = true,
    .unprotected = true,
    .metadata = true,
};
_Static_assert(sizeof(struct card_limits) == CARD_LIMIT_COUNT * sizeof(uint64_t),
               "every limit is in the root's rule");

const struct policy_rule *site_policy_root_rule(void)
{
    return &root_rule;
}

void policy_error_format(const struct policy_error *error, const char *file, char *buffer,
                         size_t size)
{
    char place[64] = "";
    const char *path = error->at.path;

    if (error->line > 0)
        (void)snprintf(place, sizeof(place), ":%d:%d", error->line, error->column);
    (void)snprintf(buffer, size, "%s%s: %s%sfound %s, expected %s", file, place, path,
                   *path ? ": " : "", error->at.found, error->at.expected);
}
