/* See policy.h. A name that was allowed says nothing about where it leads: whoever runs its zone
 * can point it at 127.0.0.1 at any moment (DNS rebinding). So each address is asked for by
 * itself. */
#include "policy.h"

#include "address-class.h"
#include "util.h"

const struct allow_rule *policy_find_rule(const struct gate_config *config, const struct host *host,
                                          uint16_t port)
{
    for (size_t i = 0; i < config->n_allow; i++)
        if (host_pattern_matches(&config->allow[i].pattern, host, port))
            return &config->allow[i];
    return NULL;
}

/* A rule allows one port, or the two usual ones: each of these is asked about as any connection
 * would be. */
bool policy_name_is_allowed(const struct gate_config *config, const struct host *host)
{
    for (size_t i = 0; i < config->n_allow; i++) {
        uint16_t port = config->allow[i].pattern.port;
        const uint16_t ports[] = {port ? port : 80, port ? port : 443};

        for (size_t k = 0; k < ARRAY_SIZE(ports); k++)
            if (host_pattern_matches(&config->allow[i].pattern, host, ports[k]) &&
                policy_find_rule(config, host, ports[k]))
                return true;
    }
    return false;
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

static bool is_private_host(const struct gate_config *config, const struct host *host)
{
    for (size_t i = 0; i < config->n_private_hosts; i++)
        if (streq(config->private_hosts[i].name, host->name))
            return true;
    return false;
}

static bool is_listed(const struct gate_config *config, const struct ip_address *address,
                      uint16_t port)
{
    for (size_t i = 0; i < config->n_allow; i++)
        if (host_pattern_lists_address(&config->allow[i].pattern, address, port))
            return true;
    return false;
}

const char *policy_address_fault(const struct gate_config *config, const struct host *host,
                                 const struct ip_address *address, uint16_t port)
{
    const char *special = address_special(address);

    /* "localhost" means this machine, whatever a hosts file or a name server says. */
    if (streq(host->name, "localhost") && !address_is_loopback(address))
        return "not loopback";
    if (!special || is_listed(config, address, port) || is_private_host(config, host))
        return NULL;
    return special;
}

size_t policy_filter_addresses(const struct gate_config *config, const struct host *host,
                               uint16_t port, struct ip_address *addresses, size_t count,
                               struct ip_address *ret_refused, const char **ret_fault)
{
    size_t kept = 0;
    bool refused = false;

    for (size_t i = 0; i < count; i++) {
        const char *fault = policy_address_fault(config, host, &addresses[i], port);
        if (!fault) {
            addresses[kept++] = addresses[i];
        } else if (!refused) {
            refused = true;
            *ret_refused = addresses[i];
            *ret_fault = fault;
        }
    }
    return kept;
}

const struct allow_rule *policy_recheck(const struct gate_config *config,
                                        const struct policy_subject *subject,
                                        const char **ret_fault)
{
    const struct host *host = subject->host;
    const char *fault = NULL;

    *ret_fault = NULL;
    if (subject->forward)
        return policy_find_listing(config, subject->forward);
    const struct allow_rule *rule = policy_find_rule(config, host, subject->port);
    if (!rule)
        return NULL;
    if (host->address.family != AF_UNSPEC) /* also where a parent proxy dials it */
        fault = policy_address_fault(config, host, &host->address, subject->port);
    if (!fault && subject->address)
        fault = policy_address_fault(config, host, subject->address, subject->port);
    *ret_fault = fault;
    return fault ? NULL : rule;
}
