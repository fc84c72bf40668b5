/* The names that a cage was told an address for, and these addresses: each name has its own out of
 * 198.18.0.0/15 (gate-proto.h), so that the address of a connection says what name it is for. Pure
 * but for allocation.
 *
 * At most GATE_NAMES_MAX names are kept. Beyond that, the one that was asked for longest ago goes,
 * unless a connection holds it. Addresses are given in turn, from a place on that the caller draws
 * by lot, and the block is 32 times as large as the table: so the address of a name that was
 * forgotten belongs to nobody for a long time, and one that an earlier gate gave is, but for a
 * chance of a few in a thousand, unknown to this one. Who uses such an address is refused, and asks
 * again. */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "util.h"

struct names_table;
struct named_address;

/* `lot` is any number. 0 or -ENOMEM. */
int names_table_new(uint32_t lot, struct names_table **ret);
struct names_table *names_table_free(struct names_table *table); /* nothing may be held */
DEFINE_CLEANUP(struct names_table, names_table_free);

/* The address of a canonical name, given now if it has none: 0. -ENOMEM; -ENOBUFS if all that could
 * go is held. */
int names_table_assign(struct names_table *table, const char *name, struct in_addr *ret);

/* Who has this address, or NULL. */
struct named_address *names_table_find(struct names_table *table, struct in_addr address);
const char *named_address_name(const struct named_address *named);

/* For each hold one release; in between the name keeps its address. */
void names_table_hold(struct names_table *table, struct named_address *named);
void names_table_release(struct names_table *table, struct named_address *named);
