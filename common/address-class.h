/* Which IP addresses are globally routable: the IANA special-purpose address registries (RFC 6890
 * and its updates) as one table. Pure. */
#pragma once

#include <stdbool.h>

#include "host-pattern.h"

/* NULL if the address is globally routable unicast; otherwise a static name of what it is
 * ("loopback", "private", "link-local", "shared (CGNAT)", "IPv4-mapped", ...). v4-mapped,
 * NAT64 and 6to4 forms are special themselves, whatever address they embed. */
const char *address_special(const struct ip_address *address);

/* The same; for a special address *ret_prefix_length is the length of the block that makes it
 * special, so that a caller can tell a range inside that block from one that merely covers it. */
const char *address_special_block(const struct ip_address *address, unsigned *ret_prefix_length);

/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct ip_address *address);

/* ::ffff:0:0/96: an IPv4 address in the clothes of an IPv6 one. */
bool address_is_mapped(const struct ip_address *address);

/* Whether the first `prefix_length` bits are the same; false for different families. */
bool address_in_network(const struct ip_address *address, const struct ip_address *network,
                        unsigned prefix_length);
