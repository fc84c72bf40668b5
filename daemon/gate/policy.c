/* See policy.h. A name that was allowed says nothing about where it leads: whoever runs its zone
 * can point it at 127.0.0.1 at any moment (DNS rebinding). So each address is asked for by
 * itself. */
#include "policy.h"

#include "address-class.h"
#include "util.h"

const struct allow_rule *policy_find_denial(const struct gate_config *config,
                                            const struct host *host, uint16_t port)
{
    for (size_t i = 0; i < config->n_deny; i++)
        if (host_pattern_denies(&config->deny[i].pattern, host, port))
            return &config->deny[i];
    return NULL;
}

const struct allow_rule *policy_find_rule(const struct gate_config *config, const struct host *host,
                                          uint16_t port)
{
    for (size_t i = 0; i < config->n_allow; i++)
        if (host_pattern_matches(&config->allow[i].pattern, host, port))
            return &config->allow[i];
    return NULL;
}

/* What denies the host on all of its ports, or NULL. Entries with a port, of which there are some
 * hundreds, never do that together. */
static const struct allow_rule *find_whole_denial(const struct gate_config *config,
                                                  const struct host *host)
{
    for (size_t i = 0; i < config->n_deny; i++)
        if (config->deny[i].pattern.port == 0 &&
            host_pattern_denies(&config->deny[i].pattern, host, 1))
            return &config->deny[i];
    return NULL;
}

/* Whether the rule allows a port of the host that nothing denies; else what does, if anything. */
static bool allows_a_port(const struct gate_config *config, const struct host_pattern *pattern,
                          const struct host *host, const struct allow_rule **ret_denial)
{
    const uint16_t ports[] = {pattern->port ? pattern->port : 80,
                              pattern->port ? pattern->port : 443};

    if (pattern->any_port)
        return host_pattern_matches(pattern, host, 1);
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
        if (!host_pattern_matches(pattern, host, ports[i]))
            continue;
        const struct allow_rule *denial = policy_find_denial(config, host, ports[i]);
        if (!denial)
            return true;
        *ret_denial = denial;
    }
    return false;
}

bool policy_name_is_allowed(const struct gate_config *config, const struct host *host,
                            const struct allow_rule **ret_denial)
{
    *ret_denial = find_whole_denial(config, host);
    if (*ret_denial)
        return false;
    for (size_t i = 0; i < config->n_allow; i++)
        if (allows_a_port(config, &config->allow[i].pattern, host, ret_denial))
            return true;
    return config->ask_seconds > 0;
}

const struct allow_rule *policy_find_listing(const struct gate_config *config,
                                             const struct endpoint *forward)
{
    for (size_t i = 0; i < config->n_allow; i++)
        if (host_pattern_lists_address(&config->allow[i].pattern, &forward->host.address,
                                       forward->port))
            return &config->allow[i];
    return NULL;
}

static bool is_private_host(const struct gate_config *config, const struct host *host,
                            uint16_t port)
{
    for (size_t i = 0; i < config->n_private_hosts; i++)
        if (host_pattern_matches(&config->private_hosts[i], host, port))
            return true;
    return false;
}

static unsigned full_length(const struct ip_address *address)
{
    return address->family == AF_INET ? 32 : 128;
}

/* Whether a rule whose prefix has at least so many bits lists the address; `localhost` lists no
 * other than loopback, whatever is asked. */
static bool is_listed(const struct gate_config *config, const struct ip_address *address,
                      uint16_t port, unsigned min_length)
{
    for (size_t i = 0; i < config->n_allow; i++) {
        const struct host_pattern *pattern = &config->allow[i].pattern;
        if ((pattern->kind != HOST_PATTERN_NETWORK || pattern->prefix_length >= min_length) &&
            host_pattern_lists_address(pattern, address, port))
            return true;
    }
    return false;
}

/* What is special about the address and not listed. An address of this host is listed by itself
 * alone: a range that it happens to be in is no consent to it. */
static const char *unlisted_fault(const struct gate_config *config,
                                  const struct ip_address *address, uint16_t port)
{
    const char *special = address_special(address);

    if (special)
        return is_listed(config, address, port, 0) ? NULL : special;
    if (own_addresses_have(config->own, address) &&
        !is_listed(config, address, port, full_length(address)))
        return "an address of this host";
    return NULL;
}

/* The same of what it embeds, where it is listed by a range (NAT64, 6to4): that is consent to this
 * way of reaching addresses, not to all that can be reached so. */
static const char *embedded_fault(const struct gate_config *config,
                                  const struct ip_address *address, uint16_t port)
{
    struct ip_address embedded[ADDRESS_EMBEDDED_MAX];
    size_t n = address_embedded(address, embedded);

    if (n == 0 || is_listed(config, address, port, full_length(address)))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *fault = unlisted_fault(config, &embedded[i], port);
        if (fault)
            return fault;
    }
    return NULL;
}

static const struct allow_rule *find_address_denial(const struct gate_config *config,
                                                    const struct ip_address *address, uint16_t port)
{
    for (size_t i = 0; i < config->n_deny; i++)
        if (host_pattern_denies_address(&config->deny[i].pattern, address, port))
            return &config->deny[i];
    return NULL;
}

/* What is special about the address and not consented to, or NULL. */
static const char *special_fault(const struct gate_config *config, const struct host *host,
                                 const struct ip_address *address, uint16_t port)
{
    /* "localhost" means this machine, whatever a hosts file or a name server says. */
    if (streq(host->name, "localhost") && !address_is_loopback(address))
        return "not loopback";
    /* Credentials of the machine are not what a private name was consented to for: whoever runs
     * its zone could lead it there. */
    if (is_private_host(config, host, port) && !address_is_metadata(address))
        return NULL;
    const char *fault = unlisted_fault(config, address, port);
    return fault ? fault : embedded_fault(config, address, port);
}

bool policy_address_fault(const struct gate_config *config, const struct host *host,
                          const struct ip_address *address, uint16_t port, struct policy_fault *ret)
{
    struct policy_fault fault = {.denial = find_address_denial(config, address, port)};

    if (!fault.denial)
        fault.what = special_fault(config, host, address, port);
    if (!fault.denial && !fault.what)
        return false;
    *ret = fault;
    return true;
}

size_t policy_filter_addresses(const struct gate_config *config, const struct host *host,
                               uint16_t port, struct ip_address *addresses, size_t count,
                               struct ip_address *ret_refused, struct policy_fault *ret_fault)
{
    size_t kept = 0;
    bool refused = false;

    for (size_t i = 0; i < count; i++) {
        struct policy_fault fault;
        if (!policy_address_fault(config, host, &addresses[i], port, &fault)) {
            addresses[kept++] = addresses[i];
        } else if (!refused) {
            refused = true;
            *ret_refused = addresses[i];
            *ret_fault = fault;
        }
    }
    return kept;
}

size_t policy_filter_parent(struct ip_address *addresses, size_t count,
                            struct ip_address *ret_refused)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (address_is_metadata(&addresses[i]))
            *ret_refused = addresses[i];
        else
            addresses[kept++] = addresses[i];
    }
    return kept;
}

/* By the addresses of which it is known that the request leads there: the one that it names (also
 * where a parent proxy dials it) and the one that is dialled. */
static bool recheck_addresses(const struct gate_config *config,
                              const struct policy_subject *subject, struct policy_fault *ret)
{
    const struct host *host = subject->host;

    if (host->address.family != AF_UNSPEC &&
        policy_address_fault(config, host, &host->address, subject->port, ret))
        return true;
    return subject->address &&
           policy_address_fault(config, host, subject->address, subject->port, ret);
}

const struct allow_rule *policy_recheck(const struct gate_config *config,
                                        const struct policy_subject *subject,
                                        struct policy_fault *ret_fault)
{
    const struct host *host = subject->host;

    *ret_fault = (struct policy_fault){.denial = policy_find_denial(config, host, subject->port)};
    if (ret_fault->denial)
        return NULL;
    if (subject->forward)
        return policy_find_listing(config, subject->forward);
    const struct allow_rule *rule = policy_find_rule(config, host, subject->port);
    if (rule && recheck_addresses(config, subject, ret_fault))
        return NULL;
    return rule;
}
