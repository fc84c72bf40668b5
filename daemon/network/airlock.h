/* The airlock: one network namespace with no uplink, no forwarding and nothing in it but one end of
 * each agent's veth pair and the gates' listening sockets (and, once an agent is transparent,
 * what airlock_begin_transparent() makes). It is held by a descriptor alone, so
 * that nothing of it can outlive the daemon. Netlink: rtnetlink(7), veth(4). */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"
#include "util.h"

struct airlock;

/* Makes the namespace. 0 with an airlock, or -errno with *ret_why (the caller's) where it helps. */
int airlock_new(struct airlock **ret, char **ret_why);
struct airlock *airlock_free(struct airlock *airlock);
DEFINE_CLEANUP(struct airlock, airlock_free);

/* The address of a slot's gate, which is known before the link is there. */
struct in_addr airlock_gate_address(unsigned slot);

/* One agent's way out. The name and the addresses follow from the slot. */
struct airlock_link {
    unsigned slot;
    char name[16];                /* of the airlock's end: "cg7" */
    struct in_addr agent_address; /* eth0 in the agent's namespace */
    struct in_addr gate_address;  /* the only address that the agent has a route to */
    int listener;                 /* bound to the link and gate_address:GATE_PORT, non-blocking */
    int transparent; /* the same at GATE_TRANSPARENT_PORT, with IP_TRANSPARENT; negative: none */
    int names;       /* UDP, bound to the link and gate_address:GATE_NAMES_PORT; negative: none */
    int forwards[GATE_FORWARDS_MAX]; /* listeners in the agent's own loopback */
    size_t n_forwards;
};

/* Before the first link that is transparent: makes TCP to a synthetic address (gate-proto.h) lead
 * to the listener on the link that it comes in by. Does nothing if that is done already. -ENOTSUP
 * with *ret_why (the caller's) if the kernel lacks what it takes. */
int airlock_begin_transparent(struct airlock *airlock, char **ret_why);

struct airlock_link_setup {
    const uint16_t *forward_ports;
    size_t n_forward_ports;
    bool transparent; /* synthetic addresses lead to the gate, which also answers for names */
};

/* Makes the pair between the airlock and the namespace `agent_netns`, whose loopback it brings up,
 * and all listeners: the gate's, and one at 127.0.0.1:port in the agent's namespace for each of
 * `forward_ports`. 0, or -errno with everything undone. */
int airlock_link_make(struct airlock *airlock, unsigned slot, int agent_netns,
                      const struct airlock_link_setup *setup, struct airlock_link *ret);

/* Closes the listeners. The pair itself goes with the agent's namespace, when the last process and
 * the last socket in it are gone: the kernel removes it in the background. (To ask for it would
 * hold up the daemon for 10 to 30 ms, measured, while the kernel waits for RCU grace periods. Slots
 * are used in turn, so that nobody waits for the name; if it should still be there when its slot
 * comes round, airlock_link_make() removes it by request.) */
void airlock_link_close(struct airlock_link *link);

/* Removes the pair of a slot whose agent has ended, if it is still there: then somebody outside the
 * cage was passed a socket of it, which keeps the namespace. 1 if it was, 0 if not, or -errno. */
int airlock_link_sweep(struct airlock *airlock, unsigned slot);
