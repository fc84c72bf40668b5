/* What the airlock asks of the kernel over netlink(7): links, addresses and routes (rtnetlink(7)).
 *
 * A socket speaks for the network namespace that it was made in, wherever its user is by then. Each
 * request waits for the kernel's answer: 0 or -errno (-EEXIST, -ENODEV, -EPERM ...; -EIO for what
 * libnl alone has a number for). */
#pragma once

#include <netinet/in.h>
#include <netlink/socket.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* A socket of the caller's in the network namespace that this thread is in: NETLINK_ROUTE or
 * NETLINK_NETFILTER. 0 or -errno. */
int netlink_open(int protocol, struct nl_sock **ret);
struct nl_sock *netlink_close(struct nl_sock *netlink);
DEFINE_CLEANUP(struct nl_sock, netlink_close);

/* Brings a link up; `quiet`: without ARP and without an IPv6 link-local address, so that IPv4 to
 * the other end is all there is on it.
 *
 * ARP must not be: the table of neighbours is one for the whole host. A socket that is bound to a
 * link reaches out for any address there, and a thousand questions that nobody answers would
 * keep the host itself from finding its neighbours. */
int netlink_link_up(struct nl_sock *netlink, int index, bool quiet);

/* Both ends have the same hardware address: without ARP the kernel sends to that of the link itself
 * (arp_constructor in net/ipv4/arp.c). */
struct netlink_veth {
    const char *name; /* of this end, in the socket's namespace */
    int index;
    const char *other_name;
    int other_index;
    int other_netns; /* borrowed */
    uint8_t hardware[6];
};

/* Makes a veth(4) pair; one that still has that name is removed first. */
int netlink_veth_make(struct nl_sock *netlink, const struct netlink_veth *veth);

/* Removes a link, and with one end of a veth pair the other. -ENODEV if there is none. */
int netlink_link_delete(struct nl_sock *netlink, int index);

/* A point-to-point address: its peer is the only route that comes with it. */
int netlink_address_add(struct nl_sock *netlink, int index, struct in_addr local,
                        struct in_addr peer);

/* A route to a network by way of `gateway`; with that 0, a route that makes all of its addresses
 * the namespace's own (AnyIP). */
int netlink_route_add(struct nl_sock *netlink, int index, struct in_addr network,
                      unsigned prefix_length, struct in_addr gateway);
