/* Checks of the hosts of a card, and of hosts for an agent that runs. */
#include <stdio.h>

#include "address-class.h"
#include "json-text.h"
#include "site-policy-check.h"

/* -- hosts -- */

/* "*" in private_hosts or parent_proxies is not meant for the metadata services of clouds, which
 * give away credentials of the machine: these are for an entry of their own. */
static bool is_passed_over(const struct policy_rule *rule, const struct policy_hosts *hosts,
                           const struct host_pattern *ceiling, const struct host_pattern *entry)
{
    return hosts != &rule->allowed_hosts && !rule->metadata && ceiling->kind == HOST_PATTERN_ANY &&
           entry->kind == HOST_PATTERN_NETWORK && address_is_metadata(&entry->network);
}

static bool hosts_pass_over(const struct policy_rule *rule, const struct policy_hosts *hosts,
                            const struct host_pattern *entry)
{
    for (size_t i = 0; i < hosts->texts.count; i++)
        if (is_passed_over(rule, hosts, &hosts->patterns[i], entry))
            return true;
    return false;
}

/* `hosts` is one of the rule's. */
static bool hosts_cover(const struct policy_rule *rule, const struct policy_hosts *hosts,
                        const struct host_pattern *entry)
{
    for (size_t i = 0; i < hosts->texts.count; i++)
        if (host_pattern_covers(&hosts->patterns[i], entry) &&
            !is_passed_over(rule, hosts, &hosts->patterns[i], entry))
            return true;
    return false;
}

/* What an entry of allowed_hosts is held against. */
static const struct policy_hosts *hosts_for(const struct policy_rule *rule,
                                            const struct host_pattern *entry)
{
    return host_pattern_is_special(entry) ? &rule->private_hosts : &rule->allowed_hosts;
}

static int refuse_host(struct card_error *error, const char *what, const char *text,
                       const char *note, const char *key, const struct policy_hosts *hosts)
{
    char found[sizeof(error->found)];
    AUTO_FREE char *all = policy_text_join(&hosts->texts);

    (void)snprintf(found, sizeof(found), "%s \"%.80s%s\"%s", what, text,
                   strlen(text) > 80 ? "..." : "", note);
    return policy_check_refuse(error, found, "what is within %s of the rule (%s)", key,
                               all ? all : "...");
}

static int hold_entry(const struct policy_rule *rule, const char *text, struct card_error *error)
{
    struct host_pattern entry;
    const char *why;

    if (host_pattern_parse(text, &entry, &why) < 0)
        return policy_check_refuse(error, "what is no host", "%s", why);
    const struct policy_hosts *hosts = hosts_for(rule, &entry);
    if (hosts_cover(rule, hosts, &entry))
        return 0;
    /* What only looks as if it covered the entry: a pattern with one of the ports, and "*". */
    const char *note = entry.port == 0 && !entry.any_port ? ", which is ports 80 and 443" : "";
    if (hosts_pass_over(rule, hosts, &entry))
        note = ", cloud metadata, which \"*\" does not cover";
    if (hosts == &rule->private_hosts)
        return refuse_host(error, "the private entry", text, note, "private_hosts", hosts);
    return refuse_host(error, "the entry", text, note, "allowed_hosts", hosts);
}

static int hold_allowed_hosts(const struct policy_check *check, const struct policy_rule *rule,
                              const struct card *card, struct policy_held *held,
                              struct card_error *error)
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
bool policy_rule_has_private_host(const struct policy_rule *rule,
                                  const struct host_pattern *private_host)
{
    struct host_pattern entry = *private_host;

    entry.any_port = true;
    return hosts_cover(rule, &rule->private_hosts, &entry);
}

static int hold_private_hosts(const struct policy_check *check, const struct policy_rule *rule,
                              const struct card *card, struct policy_held *held,
                              struct card_error *error)
{
    size_t used = strlen(error->path);

    for (size_t i = 0; i < card->private_hosts.count; i++) {
        const char *text = card->private_hosts.items[i], *why;
        struct host_pattern entry;
        json_path_append_index(error->path, sizeof(error->path), i);
        if (host_pattern_parse(text, &entry, &why) < 0)
            return policy_check_refuse(error, "what is no host", "%s", why);
        if (!policy_rule_has_private_host(rule, &entry))
            return refuse_host(error, "every port of", text, "", "private_hosts",
                               &rule->private_hosts);
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

/* Not host_pattern_parse(): a proxy may be at an address that no list of hosts may have. */
static int proxy_pattern(const char *authority, struct host_pattern *ret)
{
    struct host_pattern pattern = {};
    struct host host;
    const char *why;
    int r = host_authority_parse(authority, strlen(authority), 0, &host, &pattern.port, &why);

    if (r < 0)
        return r;
    memcpy(pattern.name, host.name, sizeof(pattern.name));
    if (host.address.family != AF_UNSPEC) {
        pattern.kind = HOST_PATTERN_NETWORK;
        pattern.network = host.address;
        pattern.prefix_length = host.address.family == AF_INET ? 32 : 128;
    }
    *ret = pattern;
    return 0;
}

static int hold_proxy(const struct policy_check *check, const struct policy_rule *rule,
                      const struct card *card, struct policy_held *held, struct card_error *error)
{
    struct host_pattern proxy;

    if (!card->proxy)
        return 0;
    const char *authority = proxy_authority(card->proxy);
    if (proxy_pattern(authority, &proxy) == 0 && hosts_cover(rule, &rule->parent_proxies, &proxy))
        return 0;
    return refuse_host(error, "the proxy", authority, "", "parent_proxies", &rule->parent_proxies);
}

static char *hosts_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return policy_text_join(&POLICY_CHECK_FIELD(check, rule, struct policy_hosts)->texts);
}

static char *allowed_hosts_asked(const struct policy_check *check, const struct card *card)
{
    const char *host = api_provider_host(card->api_provider);

    if (card->allowed_hosts.count > 0)
        return policy_text_join(&card->allowed_hosts);
    return host ? policy_text("%s (default)", host) : strdup(POLICY_NONE);
}

static char *private_hosts_asked(const struct policy_check *check, const struct card *card)
{
    return policy_text_join(&card->private_hosts);
}

static char *proxy_asked(const struct policy_check *check, const struct card *card)
{
    return card->proxy ? strdup(proxy_authority(card->proxy)) : strdup(POLICY_NONE);
}

/* -- the rows -- */

const struct policy_check policy_host_checks[] = {
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
    {.key = "proxy",
     .hold = hold_proxy,
     .ceiling = hosts_ceiling,
     .asked = proxy_asked,
     RULE_OFFSET(parent_proxies)},
};
const size_t n_policy_host_checks = ARRAY_SIZE(policy_host_checks);

/* -- while an agent runs -- */

int policy_rule_hold_host(const struct policy_rule *rule, const char *entry,
                          struct card_error *ret_error)
{
    struct host_pattern pattern;
    const char *why;

    *ret_error = (struct card_error){};
    if (host_pattern_parse(entry, &pattern, &why) == 0)
        return hold_entry(rule, entry, ret_error);
    (void)policy_check_refuse(ret_error, "what is no host", "%s", why);
    return -EINVAL;
}
