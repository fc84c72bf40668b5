/* Which IP addresses are globally routable: the IANA special-purpose address registries (RFC 6890
 * and its updates) as one table. Pure. */
#pragma once

#include <stdbool.h>

#include "host-pattern.h"

/* NULL if the address is globally routable unicast; otherwise a static name of what it is
 * ("loopback", "private", "link-local", "shared (CGNAT)", "IPv4-mapped", ...). v4-mapped,
 * NAT64 and 6to4 forms are special themselves, whatever address they embed. */
const char *address_special(const struct ip_address *address);
