/* The two questions of every request: may this host be named, and may this address be dialled?
 * And both once more for what is under way when the rules change. Pure: the card's rules against
 * canonical hosts. What an entry of denied_hosts denies, nothing else allows. */
#pragma once

#include "gate-config.h"

/* Why an address may not be dialled: one of both. */
struct policy_fault {
    const struct allow_rule *denial; /* the entry of denied_hosts */
    const char *what;                /* what the address is ("loopback") */
};

/* The first entry of denied_hosts that denies the host as it was named, or NULL. */
const struct allow_rule *policy_find_denial(const struct gate_config *config,
                                            const struct host *host, uint16_t port);

/* The first rule that allows the host as it was named, or NULL. Denials are asked for by
 * themselves, first. */
const struct allow_rule *policy_find_rule(const struct gate_config *config, const struct host *host,
                                          uint16_t port);

/* Whether the host may be named on any port at all, perhaps after an operator was asked: then its
 * name may have an address. If not, *ret_denial is the entry that denies what would be allowed
 * without it, or NULL. */
bool policy_name_is_allowed(const struct gate_config *config, const struct host *host,
                            const struct allow_rule **ret_denial);

/* The first rule that lists the address of a forward, or NULL. */
const struct allow_rule *policy_find_listing(const struct gate_config *config,
                                             const struct endpoint *forward);

/* False if this address of an allowed host may be dialled: it is not denied; and it is globally
 * routable and not this host's, or the card lists it, or names the host in private_hosts. Otherwise
 * true and *ret. */
bool policy_address_fault(const struct gate_config *config, const struct host *host,
                          const struct ip_address *address, uint16_t port,
                          struct policy_fault *ret);

/* Keeps the addresses that may be dialled, in their order; returns how many. The first refused one
 * and why go to *ret_refused and *ret_fault (untouched if all are kept). */
size_t policy_filter_addresses(const struct gate_config *config, const struct host *host,
                               uint16_t port, struct ip_address *addresses, size_t count,
                               struct ip_address *ret_refused, struct policy_fault *ret_fault);

/* The same for the addresses that the name of a parent proxy has. The card names it itself, so
 * these may be private; but credentials of the machine (a metadata service) are not what a name was
 * consented to for: whoever runs its zone could lead it there. */
size_t policy_filter_parent(struct ip_address *addresses, size_t count,
                            struct ip_address *ret_refused);

/* A request that was allowed by other rules, and how far it has come. */
struct policy_subject {
    const struct host *host;
    uint16_t port;
    const struct endpoint *forward;   /* NULL: a proxy request */
    const struct ip_address *address; /* that is dialled or was; NULL: none yet, or the parent's */
};

/* The rule that allows it now, or NULL; then *ret_fault has who denies it or what its address is,
 * and neither if the host may just not be named. */
const struct allow_rule *policy_recheck(const struct gate_config *config,
                                        const struct policy_subject *subject,
                                        struct policy_fault *ret_fault);
