/* The name server of a cage whose card is `transparent`: it answers for allowed names alone, by
 * itself and at once, each with an address of its own (names-table.h), and never asks anybody. So a
 * name that is not allowed does not resolve, and no byte of it leaves the cage.
 *
 * A question for a name that is not allowed is recorded as a refusal of method "dns", port 0, so
 * that the operator hears of what no connection will ever be made to; but not one for an IPv6
 * address, which always comes beside one for an IPv4 address. What is no question is dropped.
 *
 * There is no TCP: no answer is longer than a datagram takes, so none is ever truncated, and TCP is
 * for these (RFC 7766, section 5). */
#pragma once

#include "event-loop.h"
#include "names-table.h"

struct gate;

struct names_server {
    struct gate *gate;
    struct event_source source; /* UDP, bound to the agent's link */
    struct names_table *table;
};

/* `fd` stays the caller's. 0 or -errno. */
int names_server_init(struct names_server *server, struct gate *gate, int fd);
void names_server_deinit(struct names_server *server); /* also of one that was never begun */

/* Whether it takes questions. 0 or -errno. */
int names_server_listen(struct names_server *server, bool on);
