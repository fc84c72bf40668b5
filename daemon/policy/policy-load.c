/* The file of the site policy, from its path to rules with numbers. */
#include "policy/policy-load.h"

#include <stdio.h>

#include "caged-limits.h"
#include "policy-read.h"

static void tell_unknown(void *user, const char *rule, const char *what, const char *name)
{
    struct policy_loaded *loaded = user;
    AUTO_FREE char *text = NULL;

    if (loaded->unknown.count < POLICY_UNKNOWN_MAX &&
        asprintf(&text, "rule \"%s\": there is no %s \"%s\"", rule, what, name) >= 0)
        (void)string_list_append(&loaded->unknown, text);
}

static int load(const char *path, struct policy_loaded *loaded)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = policy_read(path, &text, &size, &loaded->error);

    if (r == 0)
        r = site_policy_parse_text(text, size, &loaded->policy, &loaded->error);
    if (r < 0)
        return r;
    r = site_policy_resolve(loaded->policy, tell_unknown, loaded);
    if (r < 0 && r != -ENOMEM)
        (void)policy_read_refuse(
            &loaded->error, r, strerror(-r),
            "an answer of the host's databases of users and groups (nss(5)) about each "
            "name in the policy");
    return r;
}

void policy_load(const char *path, struct policy_loaded *ret)
{
    *ret = (struct policy_loaded){.policy = NULL};
    int r = load(path, ret);

    if (r < 0)
        ret->policy = site_policy_free(ret->policy);
    if (r == -ENOMEM)
        (void)policy_read_refuse(&ret->error, r, "no memory for it", "a policy that fits");
}

void policy_loaded_deinit(struct policy_loaded *loaded)
{
    loaded->policy = site_policy_free(loaded->policy);
    string_list_deinit(&loaded->unknown);
}
