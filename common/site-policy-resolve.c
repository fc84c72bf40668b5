/* The numbers of the users and groups that a policy names. Apart from the rest of the policy, since
 * it asks the host: only programs that run on one link it. */
#include <grp.h>
#include <pwd.h>

#include "caged-limits.h"
#include "site-policy.h"

#define BUFFER_SIZE_FIRST 1024

struct names {
    bool groups;
    struct string_list *list;
    uint32_t *ids; /* as many as the list has items */
    size_t n_ids;
};

struct run {
    void (*unknown)(void *user, const char *rule, const char *what, const char *name);
    void *user;
    const char *rule;
};

static int ask(bool group, const char *name, char *buffer, size_t size, uint32_t *ret)
{
    struct passwd passwd, *user_found = NULL;
    struct group entry, *group_found = NULL;
    int error = group ? getgrnam_r(name, &entry, buffer, size, &group_found)
                      : getpwnam_r(name, &passwd, buffer, size, &user_found);

    if (user_found)
        *ret = passwd.pw_uid;
    if (group_found)
        *ret = entry.gr_gid;
    if (user_found || group_found)
        return 0;
    /* getpwnam(3), "ERRORS": the ways in which it says that there is none. */
    return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM
               ? -ENOENT
               : -error;
}

static int look_up(bool group, const char *name, uint32_t *ret)
{
    for (size_t size = BUFFER_SIZE_FIRST;; size *= 2) {
        AUTO_FREE char *buffer = malloc(size);
        if (!buffer)
            return -ENOMEM;
        int r = ask(group, name, buffer, size, ret);
        if (r != -ERANGE || size >= POLICY_ACCOUNT_SIZE_MAX)
            return r;
    }
}

static bool is_number(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0';
}

static int resolve_names(const struct run *run, struct names *names)
{
    uint32_t id;

    names->n_ids = 0;
    names->ids = calloc(MAX_OF(names->list->count, (size_t)1), sizeof(*names->ids));
    if (!names->ids)
        return -ENOMEM;
    for (size_t i = 0; i < names->list->count; i++) {
        const char *name = names->list->items[i];
        if (streq(name, "*"))
            continue;
        int r = 0;
        if (is_number(name))
            id = (uint32_t)strtoul(name, NULL, 10); /* checked when it was parsed */
        else
            r = look_up(names->groups, name, &id);
        if (r == 0)
            names->ids[names->n_ids++] = id;
        else if (r != -ENOENT)
            return r;
        else if (run->unknown)
            run->unknown(run->user, run->rule, names->groups ? "group" : "user", name);
    }
    return 0;
}

static int resolve_who(const struct run *run, struct policy_who *who)
{
    struct names users = {.list = &who->users}, groups = {.groups = true, .list = &who->groups};
    int r = resolve_names(run, &users);

    if (r == 0)
        r = resolve_names(run, &groups);
    if (r < 0) {
        free(users.ids);
        free(groups.ids);
        return r;
    }
    free(who->uids);
    free(who->gids);
    who->uids = users.ids;
    who->n_uids = users.n_ids;
    who->gids = groups.ids;
    who->n_gids = groups.n_ids;
    return 0;
}

int site_policy_resolve(struct site_policy *policy,
                        void (*unknown)(void *user, const char *rule, const char *what,
                                        const char *name),
                        void *user)
{
    for (size_t i = 0; i < policy->n_rules; i++) {
        struct policy_rule *rule = &policy->rules[i];
        const struct run run = {.unknown = unknown, .user = user, .rule = rule->name};
        int r = resolve_who(&run, &rule->who);
        for (size_t a = 0; r == 0 && a < rule->n_access; a++)
            r = resolve_who(&run, &rule->access[a].who);
        if (r < 0)
            return r;
    }
    return 0;
}
