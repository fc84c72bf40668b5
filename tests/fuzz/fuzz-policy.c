/* Any text as a site policy, a NUL, and any text as a card, as the daemon takes both: no crash; an
 * error is whole and printable; a card is refused by a rule exactly if the explanation says so, and
 * is then as it was; and what is not refused is within every ceiling, for hosts by what a gate
 * would let through. */
#include "address-class.h"
#include "caged-limits.h"
#include "fuzz-card-error.h"
#include "site-policy.h"
#include "util.h"

#define RULES_HELD 8

/* -- a policy -- */

static void check_rule(const struct policy_rule *rule)
{
    check_text(rule->name, POLICY_RULE_NAME_MAX + 1);
    require(rule->who.users.count + rule->who.groups.count > 0);
    require(rule->max_agents <= AGENTS_MAX);
    require(rule->total.memory_percent <= POLICY_PERCENT_MAX);
    require(rule->total.memory_percent == 0 || rule->total.memory_mb == 0);
    require(rule->max_ttl_seconds <= CARD_TTL_MAX);
    for (size_t i = 0; i < rule->workspace_roots.count; i++)
        require(rule->workspace_roots.items[i][0] == '/' &&
                !strstr(rule->workspace_roots.items[i], "/../"));
    for (size_t i = 0; i < rule->n_access; i++)
        require(rule->access[i].rights & 1u << POLICY_SEE);
}

static void check_found(const struct site_policy *policy)
{
    const struct policy_subject root = {}, other = {.uid = 1000, .gid = 1000};
    const struct policy_rule *rule = site_policy_find(policy, &other);

    /* No numbers were looked up: only "everybody" matches, and never root. */
    require(site_policy_find(policy, &root) == site_policy_root_rule());
    require(!rule || rule->who.everybody);
    for (const struct policy_rule *r = policy->rules; r < policy->rules + policy->n_rules; r++)
        require(!r->who.everybody || (rule && rule <= r));
    require(!policy_rule_grants(rule, &root, POLICY_SEE));
}

/* -- hosts -- */

static bool lets_through(const struct host_pattern *pattern, const struct host *host, uint16_t port,
                         bool special)
{
    if (pattern->kind == HOST_PATTERN_ANY)
        return pattern->any_port || pattern->port == port;
    if (special && host->address.family != AF_UNSPEC)
        return host_pattern_lists_address(pattern, &host->address, port);
    return host_pattern_matches(pattern, host, port);
}

static void check_sample(const struct policy_rule *rule, const struct host_pattern *entry,
                         const struct host *host, uint16_t port)
{
    bool address = host->address.family != AF_UNSPEC;
    bool special =
        address ? address_special(&host->address) != NULL : streq(host->name, "localhost");
    const struct policy_hosts *ceilings = special ? &rule->private_hosts : &rule->allowed_hosts;

    if (!lets_through(entry, host, port, special))
        return;
    for (size_t i = 0; i < ceilings->texts.count; i++)
        if (lets_through(&ceilings->patterns[i], host, port, special) &&
            (!entry->any_sni || ceilings->patterns[i].any_sni))
            return;
    abort();
}

static void check_samples(const struct policy_rule *rule, const struct host_pattern *entry,
                          const char *name)
{
    const uint16_t ports[] = {22, 80, 443, entry->port ? entry->port : 1};
    struct host host;
    const char *why;

    if (host_parse(name, strlen(name), &host, &why) < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        check_sample(rule, entry, &host, ports[i]);
}

static void check_entry(const struct policy_rule *rule, const char *text)
{
    static const char *const metadata[] = {"169.254.169.254", "fd00:ec2::254", "127.0.0.1", "::1",
                                           "10.1.2.3",        "8.8.8.8",       "localhost"};
    struct host_pattern entry;
    char name[HOST_NAME_MAX_LENGTH + 8];
    struct card_error error;
    const char *why;

    require(host_pattern_parse(text, &entry, &why) == 0);
    require(policy_rule_hold_host(rule, text, &error) == 0);
    check_samples(rule, &entry, entry.name);
    (void)snprintf(name, sizeof(name), "x.%s", entry.name);
    check_samples(rule, &entry, name);
    for (size_t i = 0; i < ARRAY_SIZE(metadata); i++)
        check_samples(rule, &entry, metadata[i]);
    if (entry.kind != HOST_PATTERN_NETWORK)
        return;
    for (unsigned bit = entry.prefix_length; bit < (entry.network.family == AF_INET ? 32 : 128);
         bit++)
        entry.network.v6.s6_addr[bit / 8] |= (uint8_t)(1 << (7 - bit % 8));
    (void)ip_address_format(&entry.network, name);
    require(host_pattern_parse(text, &entry, &why) == 0);
    check_samples(rule, &entry, name);
}

static void check_hosts(const struct policy_rule *rule, const struct card *card)
{
    const char *provider = api_provider_host(card->api_provider);

    for (size_t i = 0; i < card->allowed_hosts.count; i++)
        check_entry(rule, card->allowed_hosts.items[i]);
    if (card->allowed_hosts.count == 0 && provider)
        check_entry(rule, provider);
    for (size_t i = 0; i < card->private_hosts.count; i++) {
        struct host_pattern name;
        const char *why;
        bool covered = false;
        require(host_pattern_parse(card->private_hosts.items[i], &name, &why) == 0);
        name.any_port = true;
        for (size_t c = 0; c < rule->private_hosts.texts.count; c++)
            covered = covered || host_pattern_covers(&rule->private_hosts.patterns[c], &name);
        require(covered);
    }
    require(!card->proxy || rule->parent_proxies.texts.count > 0);
}

/* -- a card that is within a rule -- */

/* 0 is no limit but for swap; a weight is 100 then, and a threshold of memory all that there is. */
static uint64_t amount_of(const struct card *card, enum card_limit limit)
{
    struct card_limits limits = card->limits;
    uint64_t value = *card_limit(&limits, limit);

    if (value > 0 || limit == CARD_LIMIT_SWAP)
        return value;
    if (limit == CARD_LIMIT_MEMORY_HIGH)
        return card->limits.memory_mb;
    return limit == CARD_LIMIT_IO_WEIGHT ? 100 : UINT64_MAX;
}

static bool list_has(const struct string_list *list, const char *word)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t length = strlen(list->items[i]);
        bool prefix = length > 0 && list->items[i][length - 1] == '*';
        if (prefix ? strncmp(list->items[i], word, length - 1) == 0 : streq(list->items[i], word))
            return true;
    }
    return false;
}

static void check_within(const struct policy_rule *rule, const struct card *card)
{
    for (int i = 0; i < CARD_LIMIT_COUNT; i++) {
        struct card_limits limits = rule->limits;
        require(amount_of(card, i) <= *card_limit(&limits, i));
    }
    require(card->limits.memory_high_mb <= card->limits.memory_mb);
    require(rule->max_ttl_seconds == 0 ||
            (card->ttl_seconds > 0 && card->ttl_seconds <= rule->max_ttl_seconds));
    require(rule->command || card->command.count == 0);
    require(rule->transparent || !card->transparent);
    require(rule->unprotected || card->protect_git);
    require(!card->agent || list_has(&rule->presets, card->agent));
    require(!card->seccomp_profile || list_has(&rule->seccomp_profiles, card->seccomp_profile));
    for (size_t i = 0; i < card->n_environment; i++)
        require(list_has(&rule->environment, card->environment[i].name));
    for (size_t i = 0; i < card->n_mounts; i++)
        require(card->mounts[i].readonly ? rule->mount_roots.count > 0
                                         : rule->writable_mount_roots.count > 0);
    check_hosts(rule, card);
}

static bool is_explained_as_good(const struct policy_rule *rule, const struct card *card)
{
    json_t *rows = policy_rule_explain(rule, card);
    const json_t *row;
    bool good = true;
    size_t i;

    require(rows != NULL);
    json_array_foreach (rows, i, row)
        good = good && json_is_true(json_object_get(row, "ok"));
    json_decref(rows);
    return good;
}

static void check_held(const struct policy_rule *rule, const char *text, size_t size)
{
    struct card *card = NULL;
    struct card_error error;

    if (card_parse_text(text, size, &card, &error) < 0)
        return;
    json_t *before = card_to_json(card);
    bool good = is_explained_as_good(rule, card);
    int r = policy_rule_hold(rule, card, &error);
    json_t *after = card_to_json(card);
    require(r == (good ? 0 : -EPERM));
    require(r == 0 || rule != site_policy_root_rule());
    require(before && after && (r == 0 || json_equal(before, after)));
    if (r < 0) {
        check_error(&error);
    } else {
        check_within(rule, card);
        require(policy_rule_hold(rule, card, &error) == 0);
    }
    json_decref(before);
    json_decref(after);
    card_free(card);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t policy_size = nul ? (size_t)(nul - data) : size;
    const char *card = nul ? (const char *)nul + 1 : "";
    size_t card_size = nul ? size - policy_size - 1 : 0;
    struct site_policy *policy = NULL;
    struct policy_error error;

    int r = site_policy_parse_text((const char *)data, policy_size, &policy, &error);
    require(r == 0 || r == -EINVAL);
    check_held(site_policy_root_rule(), card, card_size);
    if (r < 0) {
        check_error(&error.at);
        require(policy_size > POLICY_SIZE_MAX || (error.line > 0 && error.column > 0));
        return 0;
    }
    require(policy->n_rules <= POLICY_RULES_MAX);
    check_found(policy);
    for (size_t i = 0; i < policy->n_rules; i++)
        check_rule(&policy->rules[i]);
    for (size_t i = 0; i < MIN_OF(policy->n_rules, (size_t)RULES_HELD); i++)
        check_held(&policy->rules[i], card, card_size);
    site_policy_free(policy);
    return 0;
}
