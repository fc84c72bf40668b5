/* Requests of netlink(7), by libnl-3: each is built, sent, and the kernel's answer waited for. */
#include "network/netlink.h"

#include <linux/if_link.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

static void rtnl_link_putp(struct rtnl_link **link)
{
    if (*link)
        rtnl_link_put(*link);
}

static void rtnl_addr_putp(struct rtnl_addr **address)
{
    if (*address)
        rtnl_addr_put(*address);
}

static void rtnl_route_putp(struct rtnl_route **route)
{
    if (*route)
        rtnl_route_put(*route);
}

static void nl_addr_putp(struct nl_addr **address)
{
    if (*address)
        nl_addr_put(*address);
}

/* libnl's errors are its own numbers; the ones that say something have an errno that says it. */
static int errno_from_nl(int error)
{
    static const struct {
        int nl, negative;
    } map[] = {
        {-NLE_EXIST, -EEXIST},         {-NLE_NODEV, -ENODEV}, {-NLE_OBJ_NOTFOUND, -ENODEV},
        {-NLE_NOMEM, -ENOMEM},         {-NLE_PERM, -EPERM},   {-NLE_NOACCESS, -EACCES},
        {-NLE_OPNOTSUPP, -EOPNOTSUPP}, {-NLE_INVAL, -EINVAL}, {-NLE_BUSY, -EBUSY},
        {-NLE_AGAIN, -EAGAIN},
    };

    if (error >= 0)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(map); i++)
        if (map[i].nl == error)
            return map[i].negative;
    return -EIO;
}

int netlink_open(int protocol, struct nl_sock **ret)
{
    CLEANUP(netlink_closep) struct nl_sock *socket = nl_socket_alloc();
    int r;

    if (!socket)
        return -ENOMEM;
    r = nl_connect(socket, protocol);
    if (r < 0)
        return errno_from_nl(r);
    *ret = TAKE_PTR(socket);
    return 0;
}

struct nl_sock *netlink_close(struct nl_sock *netlink)
{
    if (netlink)
        nl_socket_free(netlink);
    return NULL;
}

/* -- links -- */

/* Changes one thing of a link. */
static int change_link(struct nl_sock *netlink, int index, struct rtnl_link *change)
{
    CLEANUP(rtnl_link_putp) struct rtnl_link *link = rtnl_link_alloc();

    if (!link)
        return -ENOMEM;
    rtnl_link_set_ifindex(link, index);
    return errno_from_nl(rtnl_link_change(netlink, link, change, 0));
}

/* The way of making addresses is a request of its own before the other: the kernel goes through the
 * flags first, and at the birth of a veth pair it takes neither (its ends are not joined yet). */
int netlink_link_up(struct nl_sock *netlink, int index, bool quiet)
{
    CLEANUP(rtnl_link_putp) struct rtnl_link *silence = rtnl_link_alloc();
    CLEANUP(rtnl_link_putp) struct rtnl_link *up = rtnl_link_alloc();
    int r = 0;

    if (!silence || !up)
        return -ENOMEM;
    if (quiet && access("/proc/net/if_inet6", F_OK) >= 0) {
        r = errno_from_nl(rtnl_link_inet6_set_addr_gen_mode(silence, IN6_ADDR_GEN_MODE_NONE));
        if (r >= 0)
            r = change_link(netlink, index, silence);
    }
    if (r < 0)
        return r;
    rtnl_link_set_flags(up, IFF_UP | (quiet ? IFF_NOARP : 0));
    return change_link(netlink, index, up);
}

/* With one queue, which is what the kernel would use: unless it is told so it makes one for each
 * processor, and waits for RCU to give up the rest (veth_init_queues in drivers/net/veth.c). */
static void set_one_queue(struct rtnl_link *end)
{
    rtnl_link_set_num_tx_queues(end, 1);
    rtnl_link_set_num_rx_queues(end, 1);
}

int netlink_veth_make(struct nl_sock *netlink, const struct netlink_veth *veth)
{
    CLEANUP(nl_addr_putp)
    struct nl_addr *address = nl_addr_build(AF_LLC, veth->hardware, sizeof(veth->hardware));
    CLEANUP(rtnl_link_putp) struct rtnl_link *pair = rtnl_link_veth_alloc();
    int r;

    if (!pair || !address)
        return -ENOMEM;
    struct rtnl_link *other = rtnl_link_veth_get_peer(pair); /* holds a reference */
    set_one_queue(pair);
    set_one_queue(other);
    rtnl_link_set_name(pair, veth->name);
    rtnl_link_set_ifindex(pair, veth->index);
    rtnl_link_set_addr(pair, address);
    rtnl_link_set_addr(other, address);
    rtnl_link_set_name(other, veth->other_name);
    rtnl_link_set_ifindex(other, veth->other_index);
    rtnl_link_set_ns_fd(other, veth->other_netns);
    rtnl_link_put(other);
    r = rtnl_link_add(netlink, pair, NLM_F_CREATE | NLM_F_EXCL);
    if (r == -NLE_EXIST && rtnl_link_delete(netlink, pair) >= 0)
        r = rtnl_link_add(netlink, pair, NLM_F_CREATE | NLM_F_EXCL);
    return errno_from_nl(r);
}

int netlink_link_delete(struct nl_sock *netlink, int index)
{
    CLEANUP(rtnl_link_putp) struct rtnl_link *link = rtnl_link_alloc();

    if (!link)
        return -ENOMEM;
    rtnl_link_set_ifindex(link, index);
    return errno_from_nl(rtnl_link_delete(netlink, link));
}

/* -- addresses and routes -- */

int netlink_address_add(struct nl_sock *netlink, int index, struct in_addr local,
                        struct in_addr peer)
{
    CLEANUP(rtnl_addr_putp) struct rtnl_addr *address = rtnl_addr_alloc();
    CLEANUP(nl_addr_putp) struct nl_addr *nl_local = nl_addr_build(AF_INET, &local, sizeof(local));
    CLEANUP(nl_addr_putp) struct nl_addr *nl_peer = nl_addr_build(AF_INET, &peer, sizeof(peer));
    int r;

    if (!address || !nl_local || !nl_peer)
        return -ENOMEM;
    rtnl_addr_set_ifindex(address, index);
    r = rtnl_addr_set_local(address, nl_local);
    if (r >= 0)
        r = rtnl_addr_set_peer(address, nl_peer);
    if (r >= 0)
        r = rtnl_addr_add(netlink, address, 0);
    return errno_from_nl(r);
}

int netlink_route_add(struct nl_sock *netlink, int index, struct in_addr network,
                      unsigned prefix_length, struct in_addr gateway)
{
    CLEANUP(rtnl_route_putp) struct rtnl_route *route = rtnl_route_alloc();
    CLEANUP(nl_addr_putp)
    struct nl_addr *to = nl_addr_build(AF_INET, &network, sizeof(network));
    CLEANUP(nl_addr_putp)
    struct nl_addr *via = nl_addr_build(AF_INET, &gateway, sizeof(gateway));
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    bool local = gateway.s_addr == 0;

    if (!route || !to || !via || !hop) {
        if (hop)
            rtnl_route_nh_free(hop);
        return -ENOMEM;
    }
    nl_addr_set_prefixlen(to, (int)prefix_length);
    rtnl_route_nh_set_ifindex(hop, index);
    if (!local)
        rtnl_route_nh_set_gateway(hop, via);
    rtnl_route_add_nexthop(route, hop); /* the route's now */
    (void)rtnl_route_set_family(route, AF_INET);
    (void)rtnl_route_set_dst(route, to);
    (void)rtnl_route_set_type(route, local ? RTN_LOCAL : RTN_UNICAST);
    rtnl_route_set_table(route, local ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
    rtnl_route_set_scope(route, local ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
    return errno_from_nl(rtnl_route_add(netlink, route, 0));
}
