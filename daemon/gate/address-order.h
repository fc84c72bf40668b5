/* In which order the addresses of a name are tried (RFC 8305, section 4). Pure. */
#pragma once

#include <stddef.h>

#include "host.h"

/* Both families by turns, `first` first, each in its own order as the name server has it. */
void address_order(struct ip_address *addresses, size_t n, sa_family_t first);

/* Of `n_v4` and `n_v6` addresses, how many of IPv4 to keep where there is room for `max` in all:
 * neither family takes the other's half. The rest of the room is IPv6's. */
size_t address_share_v4(size_t n_v4, size_t n_v6, size_t max);
