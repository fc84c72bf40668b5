/* The two questions of every request: may this host be named, and may this address be dialled?
 * And both once more for what is under way when the rules change. Pure: the card's rules against
 * canonical hosts. */
#pragma once

#include "gate-config.h"

/* The first rule that allows the host as it was named, or NULL. */
const struct allow_rule *policy_find_rule(const struct gate_config *config, const struct host *host,
                                          uint16_t port);

/* Whether the host may be named on any port at all: then its name may have an address. */
bool policy_name_is_allowed(const struct gate_config *config, const struct host *host);

/* The first rule that lists the address of a forward, or NULL. */
const struct allow_rule *policy_find_listing(const struct gate_config *config,
                                             const struct endpoint *forward);

/* NULL if this address of an allowed host may be dialled: it is globally routable, or the card
 * lists it, or names the host in private_hosts. Otherwise what the address is ("loopback"). */
const char *policy_address_fault(const struct gate_config *config, const struct host *host,
                                 const struct ip_address *address, uint16_t port);

/* Keeps the addresses that may be dialled, in their order; returns how many. The first refused one
 * and what it is go to *ret_refused and *ret_fault (untouched if all are kept). */
size_t policy_filter_addresses(const struct gate_config *config, const struct host *host,
                               uint16_t port, struct ip_address *addresses, size_t count,
                               struct ip_address *ret_refused, const char **ret_fault);

/* A request that was allowed by other rules, and how far it has come. */
struct policy_subject {
    const struct host *host;
    uint16_t port;
    const struct endpoint *forward;   /* NULL: a proxy request */
    const struct ip_address *address; /* that is dialled or was; NULL: none yet, or the parent's */
};

/* The rule that allows it now, or NULL; then *ret_fault is what its address is, or NULL if the host
 * may not even be named. */
const struct allow_rule *policy_recheck(const struct gate_config *config,
                                        const struct policy_subject *subject,
                                        const char **ret_fault);
