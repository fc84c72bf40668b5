/* The airlock: its namespace, and each agent's veth pair and listeners.
 *
 * A socket belongs for ever to the network namespace in which it was made. So the daemon's one
 * thread steps into a namespace just to make sockets there, and steps back at once; all that
 * follows (netlink requests, bind, listen) works from where it is. If stepping back ever failed,
 * the daemon would go on in the wrong namespace: it ends instead. */
#include "airlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

#include "gate-proto.h"
#include "netns.h"
#include "tcp-tune.h"
#include "tproxy-rule.h"
#include "why.h"

/* 100.64.0.0/10 (RFC 6598) inside namespaces that are connected to nothing: four addresses for each
 * slot, .1 the gate's, .2 the agent's. */
#define ADDRESS_BASE 0x64400000u
#define ADDRESS_STEP 4u
#define LOOPBACK_INDEX 1
#define AGENT_LINK_INDEX 2
#define AIRLOCK_INDEX_BASE 16 /* of the first slot's link in the airlock */

struct airlock {
    int home; /* the daemon's own network namespace */
    int netns;
    struct nl_sock *netlink; /* in the airlock */
    bool transparent;        /* what airlock_begin_transparent() makes is there */
};

static void nl_socket_freep(struct nl_sock **socket)
{
    if (*socket)
        nl_socket_free(*socket);
}

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

static void step_home(const struct airlock *airlock)
{
    netns_step_home(airlock->home);
}

static int netlink_open(int protocol, struct nl_sock **ret)
{
    CLEANUP(nl_socket_freep) struct nl_sock *socket = nl_socket_alloc();
    int r;

    if (!socket)
        return -ENOMEM;
    r = nl_connect(socket, protocol);
    if (r < 0)
        return errno_from_nl(r);
    *ret = TAKE_PTR(socket);
    return 0;
}

/* Changes one thing of a link. */
static int change_link(struct nl_sock *netlink, int index, struct rtnl_link *change)
{
    CLEANUP(rtnl_link_putp) struct rtnl_link *link = rtnl_link_alloc();

    if (!link)
        return -ENOMEM;
    rtnl_link_set_ifindex(link, index);
    return errno_from_nl(rtnl_link_change(netlink, link, change, 0));
}

/* Brings a link up; `quiet`: without ARP and without an IPv6 link-local address, so that IPv4 to
 * the gate is all there is on it. The latter is a request of its own before the other: the kernel
 * goes through the flags first, and at the birth of a veth pair it takes neither (its ends are not
 * joined yet).
 *
 * ARP must not be: the table of neighbours is one for the whole host. A socket that is bound to a
 * link reaches out for any address there, and a thousand questions that nobody answers would
 * keep the host itself from finding its neighbours. */
static int set_up(struct nl_sock *netlink, int index, bool quiet)
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

int airlock_new(struct airlock **ret, char **ret_why)
{
    CLEANUP(airlock_freep) struct airlock *airlock = malloc(sizeof(*airlock));
    int r;

    if (!airlock)
        return -ENOMEM;
    *airlock = (struct airlock){.netns = -EBADF};
    airlock->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (airlock->home < 0)
        return negative_errno();
    airlock->netns = netns_new(airlock->home);
    if (airlock->netns < 0)
        return why_set(ret_why, airlock->netns, "no new network namespace can be made: %s",
                       strerror(-airlock->netns));
    if (setns(airlock->netns, CLONE_NEWNET) < 0)
        return negative_errno();
    r = netlink_open(NETLINK_ROUTE, &airlock->netlink);
    step_home(airlock);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(airlock);
    return 0;
}

struct airlock *airlock_free(struct airlock *airlock)
{
    if (!airlock)
        return NULL;
    if (airlock->netlink)
        nl_socket_free(airlock->netlink);
    fd_close(airlock->netns);
    fd_close(airlock->home);
    free(airlock);
    return NULL;
}

/* -- the synthetic addresses -- */

/* A route to them: in the airlock they are its own (AnyIP), in an agent's namespace they lie behind
 * the gate. `gateway` is 0 for the former. By way of one gateway, since otherwise each address
 * would have an entry of its own in the table of neighbours. */
static int add_synthetic_route(struct nl_sock *netlink, int index, struct in_addr gateway)
{
    const struct in_addr network = {.s_addr = htonl(GATE_SYNTHETIC_NETWORK)};
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
    nl_addr_set_prefixlen(to, GATE_SYNTHETIC_PREFIX);
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

static int load_rule(const struct airlock *airlock)
{
    const struct in_addr network = {.s_addr = htonl(GATE_SYNTHETIC_NETWORK)};
    CLEANUP(nl_socket_freep) struct nl_sock *netlink = NULL;
    int r;

    if (setns(airlock->netns, CLONE_NEWNET) < 0)
        return negative_errno();
    r = netlink_open(NETLINK_NETFILTER, &netlink);
    step_home(airlock);
    return r < 0 ? r
                 : tproxy_rule_load(netlink, network, GATE_SYNTHETIC_PREFIX, GATE_TRANSPARENT_PORT);
}

int airlock_begin_transparent(struct airlock *airlock, char **ret_why)
{
    int r;

    if (airlock->transparent)
        return 0;
    r = set_up(airlock->netlink, LOOPBACK_INDEX, false);
    if (r >= 0)
        r = add_synthetic_route(airlock->netlink, LOOPBACK_INDEX, (struct in_addr){0});
    if (r < 0 && r != -EEXIST)
        return r;
    r = load_rule(airlock);
    if (r < 0)
        return why_set(
            ret_why, -ENOTSUP,
            "the kernel takes no rule of nftables with tproxy: %s; it needs "
            "CONFIG_NF_TABLES_IPV4 and CONFIG_NFT_TPROXY (modules nf_tables, nft_tproxy)",
            strerror(-r));
    airlock->transparent = true;
    return 0;
}

/* -- links -- */

static int ip_socket(int type)
{
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? negative_errno() : fd;
}

static int make_sockets(struct airlock *airlock, int agent_netns, struct airlock_link *link,
                        const struct airlock_link_setup *setup, struct nl_sock **ret_agent_netlink)
{
    int r;

    if (setns(airlock->netns, CLONE_NEWNET) < 0)
        return negative_errno();
    r = link->listener = ip_socket(SOCK_STREAM);
    if (r >= 0 && setup->transparent)
        r = link->transparent = ip_socket(SOCK_STREAM);
    if (r >= 0 && setup->transparent)
        r = link->names = ip_socket(SOCK_DGRAM);
    if (r >= 0 && setns(agent_netns, CLONE_NEWNET) < 0)
        r = negative_errno();
    if (r >= 0)
        r = netlink_open(NETLINK_ROUTE, ret_agent_netlink);
    while (r >= 0 && link->n_forwards < setup->n_forward_ports) {
        r = ip_socket(SOCK_STREAM);
        if (r >= 0)
            link->forwards[link->n_forwards++] = r;
    }
    step_home(airlock);
    return r < 0 ? r : 0;
}

/* With one queue, which is what the kernel would use: unless it is told so it makes one for each
 * processor, and waits for RCU to give up the rest (veth_init_queues in drivers/net/veth.c). */
static void set_one_queue(struct rtnl_link *end)
{
    rtnl_link_set_num_tx_queues(end, 1);
    rtnl_link_set_num_rx_queues(end, 1);
}

/* Both ends have the same hardware address: without ARP the kernel sends to that of the link itself
 * (arp_constructor in net/ipv4/arp.c). Locally administered, and the slot's own. */
static int make_pair(struct airlock *airlock, const struct airlock_link *link, int agent_netns)
{
    const uint8_t hardware[] = {0x02, 'c', 'g', 0, (uint8_t)(link->slot >> 8), (uint8_t)link->slot};
    CLEANUP(nl_addr_putp)
    struct nl_addr *address = nl_addr_build(AF_LLC, hardware, sizeof(hardware));
    CLEANUP(rtnl_link_putp) struct rtnl_link *pair = rtnl_link_veth_alloc();
    int r;

    if (!pair || !address)
        return -ENOMEM;
    struct rtnl_link *agent_end = rtnl_link_veth_get_peer(pair); /* holds a reference */
    set_one_queue(pair);
    set_one_queue(agent_end);
    rtnl_link_set_name(pair, link->name);
    rtnl_link_set_ifindex(pair, (int)(AIRLOCK_INDEX_BASE + link->slot));
    rtnl_link_set_addr(pair, address);
    rtnl_link_set_addr(agent_end, address);
    rtnl_link_set_name(agent_end, "eth0");
    rtnl_link_set_ifindex(agent_end, AGENT_LINK_INDEX);
    rtnl_link_set_ns_fd(agent_end, agent_netns);
    rtnl_link_put(agent_end);
    r = rtnl_link_add(airlock->netlink, pair, NLM_F_CREATE | NLM_F_EXCL);
    if (r == -NLE_EXIST && rtnl_link_delete(airlock->netlink, pair) >= 0)
        r = rtnl_link_add(airlock->netlink, pair, NLM_F_CREATE | NLM_F_EXCL);
    return errno_from_nl(r);
}

/* A point-to-point address: its peer is the only route that comes with it. */
static int add_address(struct nl_sock *netlink, int index, struct in_addr local,
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

static int bind_at(int fd, struct in_addr address, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = address, .sin_port = htons(port)};

    return bind(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ? negative_errno() : 0;
}

static int listen_at(int fd, struct in_addr address, uint16_t port)
{
    int r = bind_at(fd, address, port);

    tcp_tune(fd);
    if (r >= 0 && listen(fd, GATE_LISTEN_BACKLOG) < 0)
        r = negative_errno();
    return r;
}

/* So that it hears of nothing but what comes in by that link. */
static int bind_to_link(int fd, const struct airlock_link *link)
{
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, link->name, (socklen_t)strlen(link->name)) <
                   0
               ? negative_errno()
               : 0;
}

/* Where the rule leads what is sent to synthetic addresses, and where the cage asks for names. */
static int start_transparent(const struct airlock_link *link)
{
    const int on = 1;
    int r = bind_to_link(link->transparent, link);

    if (r >= 0)
        r = bind_to_link(link->names, link);
    if (r >= 0 && setsockopt(link->transparent, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)) < 0)
        r = negative_errno();
    if (r >= 0)
        r = listen_at(link->transparent, link->gate_address, GATE_TRANSPARENT_PORT);
    if (r >= 0)
        r = bind_at(link->names, link->gate_address, GATE_NAMES_PORT);
    return r;
}

static int start_listeners(const struct airlock_link *link, const struct airlock_link_setup *setup)
{
    const struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    int r = bind_to_link(link->listener, link);

    if (r >= 0)
        r = listen_at(link->listener, link->gate_address, GATE_PORT);
    for (size_t i = 0; r >= 0 && i < link->n_forwards; i++)
        r = listen_at(link->forwards[i], loopback, setup->forward_ports[i]);
    return r >= 0 && setup->transparent ? start_transparent(link) : r;
}

static int link_make(struct airlock *airlock, int agent_netns,
                     const struct airlock_link_setup *setup, struct airlock_link *link)
{
    CLEANUP(nl_socket_freep) struct nl_sock *agent_netlink = NULL;
    const int index = (int)(AIRLOCK_INDEX_BASE + link->slot);
    int r;

    r = make_sockets(airlock, agent_netns, link, setup, &agent_netlink);
    if (r >= 0)
        r = make_pair(airlock, link, agent_netns);
    if (r >= 0)
        r = set_up(airlock->netlink, index, true);
    if (r >= 0)
        r = add_address(airlock->netlink, index, link->gate_address, link->agent_address);
    if (r >= 0)
        r = set_up(agent_netlink, LOOPBACK_INDEX, false);
    if (r >= 0)
        r = set_up(agent_netlink, AGENT_LINK_INDEX, true);
    if (r >= 0)
        r = add_address(agent_netlink, AGENT_LINK_INDEX, link->agent_address, link->gate_address);
    if (r >= 0 && setup->transparent)
        r = add_synthetic_route(agent_netlink, AGENT_LINK_INDEX, link->gate_address);
    if (r >= 0)
        r = start_listeners(link, setup);
    return r;
}

static struct in_addr slot_address(unsigned slot, uint32_t which)
{
    return (struct in_addr){.s_addr = htonl(ADDRESS_BASE + slot * ADDRESS_STEP + which)};
}

struct in_addr airlock_gate_address(unsigned slot)
{
    return slot_address(slot, 1);
}

int airlock_link_make(struct airlock *airlock, unsigned slot, int agent_netns,
                      const struct airlock_link_setup *setup, struct airlock_link *ret)
{
    struct airlock_link link = {
        .slot = slot,
        .gate_address = slot_address(slot, 1),
        .agent_address = slot_address(slot, 2),
        .listener = -EBADF,
        .transparent = -EBADF,
        .names = -EBADF,
    };
    int r;

    if (setup->n_forward_ports > GATE_FORWARDS_MAX)
        return -E2BIG;
    if (setup->transparent && !airlock->transparent)
        return -ENOTSUP;
    (void)snprintf(link.name, sizeof(link.name), "cg%u", slot);
    r = link_make(airlock, agent_netns, setup, &link);
    if (r < 0) {
        airlock_link_close(&link);
        return r;
    }
    *ret = link;
    return 0;
}

void airlock_link_close(struct airlock_link *link)
{
    link->listener = fd_close(link->listener);
    link->transparent = fd_close(link->transparent);
    link->names = fd_close(link->names);
    while (link->n_forwards > 0)
        fd_close(link->forwards[--link->n_forwards]);
}

int airlock_link_sweep(struct airlock *airlock, unsigned slot)
{
    CLEANUP(rtnl_link_putp) struct rtnl_link *pair = rtnl_link_alloc();
    int r;

    if (!pair)
        return -ENOMEM;
    rtnl_link_set_ifindex(pair, (int)(AIRLOCK_INDEX_BASE + slot));
    r = errno_from_nl(rtnl_link_delete(airlock->netlink, pair));
    return r == -ENODEV ? 0 : r < 0 ? r : 1;
}
