/* What an agent may be given to reach while it runs. */
#include "policy/host-ceiling.h"

#include <errno.h>
#include <stdio.h>

static const char no_rule[] =
    "no rule of the site policy is for the agent's owner any more, so that "
    "hosts can only be denied";

static int refuse(struct card_error *ret, int error, const char *what, const char *text,
                  const char *expected)
{
    *ret = (struct card_error){};
    (void)snprintf(ret->found, sizeof(ret->found), "%s \"%.80s%s\"", what, text,
                   strlen(text) > 80 ? "..." : "");
    (void)snprintf(ret->expected, sizeof(ret->expected), "%s", expected);
    return error;
}

int host_ceiling_check(const struct policy_rule *rule, enum host_list list, const char *text,
                       struct host_pattern *ret, struct card_error *ret_error)
{
    struct host_pattern pattern;
    const char *why;

    if (host_pattern_parse(text, &pattern, &why) < 0)
        return refuse(ret_error, -EINVAL, "the entry", text, why);
    if (list == HOST_LIST_DENIED && host_pattern_has_options(&pattern))
        return refuse(ret_error, -EINVAL, "the entry", text,
                      "an entry of denied_hosts has no options");
    if (list == HOST_LIST_ALLOWED && !rule)
        return refuse(ret_error, -EPERM, "the entry", text, no_rule);
    int r = list == HOST_LIST_ALLOWED ? policy_rule_hold_host(rule, text, ret_error) : 0;
    if (r < 0)
        return r;
    *ret = pattern;
    return 0;
}

int host_ceiling_check_private(const struct policy_rule *rule,
                               const struct string_list *private_hosts, const char *text,
                               const struct host_pattern *entry, struct card_error *ret_error)
{
    struct host_pattern held;
    const char *why;

    for (size_t i = 0; i < private_hosts->count; i++) {
        int r = host_pattern_parse(private_hosts->items[i], &held, &why);
        if (r < 0 || !host_pattern_names_meet(entry, &held) ||
            (rule && policy_rule_has_private_host(rule, &held)))
            continue;
        return refuse(ret_error, -EPERM, "the private entry", text,
                      "what leads to no private address: by private_hosts of the card it may, and "
                      "that is not within private_hosts of the rule of the site policy any more");
    }
    return 0;
}

int host_ceiling_check_card(const struct policy_rule *rule, const struct card *card,
                            enum api_provider provider, struct card_error *ret_error)
{
    if (!rule) {
        const char *host = card->allowed_hosts.count > 0 ? card->allowed_hosts.items[0]
                                                         : api_provider_host(provider);
        (void)refuse(ret_error, -EPERM, "the entry", host ? host : "none", no_rule);
        (void)snprintf(ret_error->path, sizeof(ret_error->path), "$.allowed_hosts");
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
