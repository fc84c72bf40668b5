/* The two questions of every request: may this host be named, and may this address be dialled?
 * Pure: the card's rules against canonical hosts. */
#pragma once

#include "gate-config.h"

/* The first rule that allows the host as it was named, or NULL. */
const struct allow_rule *policy_find_rule(const struct gate_config *config, const struct host *host,
                                          uint16_t port);

/* NULL if this address of an allowed host may be dialled: it is globally routable, or the card
 * lists it, or names the host in private_hosts. Otherwise what the address is ("loopback"). */
const char *policy_address_fault(const struct gate_config *config, const struct host *host,
                                 const struct ip_address *address, uint16_t port);

/* Keeps the addresses that may be dialled, in their order; returns how many. The first refused one
 * and what it is go to *ret_refused and *ret_fault (untouched if all are kept). */
size_t policy_filter_addresses(const struct gate_config *config, const struct host *host,
                               uint16_t port, struct ip_address *addresses, size_t count,
                               struct ip_address *ret_refused, const char **ret_fault);
