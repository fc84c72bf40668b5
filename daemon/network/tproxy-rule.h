/* One rule of nftables, loaded over nfnetlink without nft(8): TCP to a network goes to a local
 * listener, which learns by getsockname(2) where it was to go
 * (Documentation/networking/tproxy.rst). As nft(8) writes it:
 *
 *     table ip caged {
 *         chain transparent {
 *             type filter hook prerouting priority mangle; policy accept;
 *             ip daddr 198.18.0.0/15 meta l4proto tcp tproxy to :3129
 *         }
 *     }
 *
 * The listener is looked for on the link that the packet came in by, so that one rule serves all
 * agents: a listener that is bound to another agent's link (SO_BINDTODEVICE) is not found, and
 * without any the connection is refused. No connection is tracked, no packet changed.
 *
 * nft(8) itself would be a program of root's to depend on, to run and to wait for, for these seven
 * expressions, which the kernel takes in one message. */
#pragma once

#include <netinet/in.h>
#include <netlink/socket.h>
#include <stdint.h>

/* `netlink` is connected to NETLINK_NETFILTER in the network namespace where the rule is to be, and
 * for this alone. The kernel loads its modules for it (nf_tables, nft_tproxy). All or nothing: 0 or
 * -errno; -ENOENT and -EOPNOTSUPP: the kernel lacks a part of it. */
int tproxy_rule_load(struct nl_sock *netlink, struct in_addr network, unsigned prefix_length,
                     uint16_t port);
