/* Which IP addresses are globally routable: the IANA special-purpose address registries (RFC 6890
 * and its updates) as one table. Pure. */
#pragma once

#include <stdbool.h>

#include "host.h"

/* NULL if the address is globally routable unicast; otherwise a static name of what it is
 * ("loopback", "private", "link-local", "shared (CGNAT)", "IPv4-mapped", ...). v4-mapped,
 * NAT64 and 6to4 forms are special themselves, whatever address they embed. */
const char *address_special(const struct ip_address *address);

/* The same; for a special address *ret_prefix_length is the length of the block that makes it
 * special, so that a caller can tell a range inside that block from one that merely covers it. */
const char *address_special_block(const struct ip_address *address, unsigned *ret_prefix_length);

/* The same for a range: NULL unless it lies wholly inside a block that is special, which is then
 * the smallest such block; or has no address of the space that is globally routable at all. */
const char *address_special_range(const struct ip_address *network, unsigned prefix_length,
                                  unsigned *ret_block_length);

#define ADDRESS_EMBEDDED_MAX 2

/* The IPv4 addresses that an IPv6 address stands for or leads to: IPv4-mapped, -compatible and
 * -translated, NAT64 (the well-known prefix, and 64:ff9b:1::/48 with a prefix of 96 bits), 6to4,
 * and server and client of Teredo. Returns how many, 0 for all others. */
size_t address_embedded(const struct ip_address *address,
                        struct ip_address ret[static ADDRESS_EMBEDDED_MAX]);

/* Whether it is that of a service that tells a cloud's machines about themselves, their credentials
 * included; or an IPv6 address that embeds such a one. */
bool address_is_metadata(const struct ip_address *address);

/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct ip_address *address);

/* ::ffff:0:0/96: an IPv4 address in the clothes of an IPv6 one. */
bool address_is_mapped(const struct ip_address *address);

/* Whether the first `prefix_length` bits are the same; false for different families. */
bool address_in_network(const struct ip_address *address, const struct ip_address *network,
                        unsigned prefix_length);
