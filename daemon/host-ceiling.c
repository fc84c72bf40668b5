/* What an agent may be given to reach while it runs. */
#include "host-ceiling.h"

#include <errno.h>
#include <stdio.h>

static const char no_rule[] =
    "no rule of the site policy is for the agent's owner any more, so that "
    "hosts can only be denied";

int host_ceiling_check(const struct policy_rule *rule, enum host_list list, const char *text,
                       struct host_pattern *ret, const char **ret_why)
{
    struct host_pattern pattern;
    int r = host_pattern_parse(text, &pattern, ret_why);

    if (r < 0)
        return r;
    if (list == HOST_LIST_DENIED && host_pattern_has_options(&pattern)) {
        *ret_why = "an entry of denied_hosts has no options";
        return -EINVAL;
    }
    if (list == HOST_LIST_ALLOWED && !rule) {
        *ret_why = no_rule;
        return -EPERM;
    }
    if (list == HOST_LIST_ALLOWED)
        r = policy_rule_hold_host(rule, text, ret_why);
    if (r < 0)
        return r;
    *ret = pattern;
    return 0;
}

int host_ceiling_check_private(const struct policy_rule *rule,
                               const struct string_list *private_hosts,
                               const struct host_pattern *entry, const char **ret_why)
{
    struct host_pattern held;
    const char *why;

    for (size_t i = 0; i < private_hosts->count; i++) {
        int r = host_pattern_parse(private_hosts->items[i], &held, &why);
        if (r < 0 || !host_pattern_names_meet(entry, &held) ||
            (rule && policy_rule_has_private_host(rule, &held)))
            continue;
        *ret_why = "by private_hosts of the card it may lead to a private address, and that is not "
                   "within private_hosts of the rule of the site policy any more";
        return -EPERM;
    }
    return 0;
}

int host_ceiling_check_card(const struct policy_rule *rule, const struct card *card,
                            enum api_provider provider, struct card_error *ret_error)
{
    if (!rule) {
        *ret_error = (struct card_error){.path = "$.allowed_hosts"};
        (void)snprintf(ret_error->found, sizeof(ret_error->found), "hosts");
        (void)snprintf(ret_error->expected, sizeof(ret_error->expected), "%s", no_rule);
        return -EPERM;
    }
    /* Nothing but its hosts counts: the agent keeps all else. */
    struct policy_rule hosts = *site_policy_root_rule();
    struct card probe = *card;
    hosts.name = rule->name;
    hosts.allowed_hosts = rule->allowed_hosts;
    hosts.private_hosts = rule->private_hosts;
    hosts.metadata = rule->metadata;
    probe.api_provider = provider;
    return policy_rule_hold(&hosts, &probe, ret_error);
}
