/* What a site policy lets cards name and is not installed. */
#include "policy-missing.h"

#include <stddef.h>
#include <stdio.h>

#include "installed.h"

/* The lists of a rule that name what is installed. */
static const struct named_list {
    const char *key, *what;
    enum installed kind;
    size_t offset;
} lists[] = {
    {"presets", "preset", INSTALLED_PRESET, offsetof(struct policy_rule, presets)},
    {"seccomp_profiles", "seccomp profile", INSTALLED_PROFILE,
     offsetof(struct policy_rule, seccomp_profiles)},
};

static const struct string_list *list_of(const struct policy_rule *rule,
                                         const struct named_list *named)
{
    return (const struct string_list *)(const void *)((const char *)rule + named->offset);
}

static bool names_any(const struct site_policy *policy, const struct named_list *named)
{
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct string_list *list = list_of(&policy->rules[i], named);
        for (size_t k = 0; k < list->count; k++)
            if (!streq(list->items[k], "*"))
                return true;
    }
    return false;
}

struct missing_teller {
    const char *folder;
    const struct string_list *installed;
    void (*tell)(void *user, const struct policy_missing *missing);
    void *user;
};

static void look_at(const struct missing_teller *teller, const struct named_list *named,
                    const struct policy_rule *rule, size_t number)
{
    const struct string_list *list = list_of(rule, named);

    for (size_t i = 0; i < list->count; i++) {
        struct policy_missing missing = {.rule = rule->name,
                                         .what = named->what,
                                         .name = list->items[i],
                                         .folder = teller->folder};
        if (streq(list->items[i], "*") || string_list_has(teller->installed, list->items[i]))
            continue;
        (void)snprintf(missing.path, sizeof(missing.path), "$.rules[%zu].%s[%zu]", number,
                       named->key, i);
        teller->tell(teller->user, &missing);
    }
}

static int look_for(const struct site_policy *policy, const struct named_list *named,
                    const char *data_dir, struct missing_teller *teller)
{
    struct string_list installed = {};
    int r = installed_list(data_dir, named->kind, &installed);

    if (r < 0)
        return r;
    teller->installed = &installed;
    for (size_t i = 0; i < policy->n_rules; i++)
        look_at(teller, named, &policy->rules[i], i);
    string_list_deinit(&installed);
    return 0;
}

int policy_missing(const struct site_policy *policy, const char *data_dir,
                   void (*tell)(void *user, const struct policy_missing *missing), void *user,
                   char **ret_folder)
{
    *ret_folder = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        AUTO_FREE char *folder = NULL;
        if (!names_any(policy, &lists[i]))
            continue;
        if (asprintf(&folder, "%s/%s", data_dir, installed_folder(lists[i].kind)) < 0)
            return -ENOMEM;
        struct missing_teller teller = {.folder = folder, .tell = tell, .user = user};
        int r = look_for(policy, &lists[i], data_dir, &teller);
        if (r < 0) {
            *ret_folder = TAKE_PTR(folder);
            return r;
        }
    }
    return 0;
}
