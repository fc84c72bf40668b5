/* The airlock: its namespace, and each agent's veth pair and listeners.
 *
 * A socket belongs for ever to the network namespace in which it was made. So the daemon's one
 * thread steps into a namespace just to make sockets there, and steps back at once; all that
 * follows (netlink requests, bind, listen) works from where it is. If stepping back ever failed,
 * the daemon would go on in the wrong namespace: it ends instead. */
#include "network/airlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

#include "gate-proto.h"
#include "network/netlink.h"
#include "network/netns.h"
#include "network/tproxy-rule.h"
#include "tcp-tune.h"
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

static void step_home(const struct airlock *airlock)
{
    netns_step_home(airlock->home);
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
    netlink_close(airlock->netlink);
    fd_close(airlock->netns);
    fd_close(airlock->home);
    free(airlock);
    return NULL;
}

/* -- the synthetic addresses -- */

/* A route to them: in the airlock they are its own, in an agent's namespace they lie behind the
 * gate. `gateway` is 0 for the former. By way of one gateway, since otherwise each address would
 * have an entry of its own in the table of neighbours. */
static int add_synthetic_route(struct nl_sock *netlink, int index, struct in_addr gateway)
{
    const struct in_addr network = {.s_addr = htonl(GATE_SYNTHETIC_NETWORK)};

    return netlink_route_add(netlink, index, network, GATE_SYNTHETIC_PREFIX, gateway);
}

static int load_rule(const struct airlock *airlock)
{
    const struct in_addr network = {.s_addr = htonl(GATE_SYNTHETIC_NETWORK)};
    CLEANUP(netlink_closep) struct nl_sock *netlink = NULL;
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
    r = netlink_link_up(airlock->netlink, LOOPBACK_INDEX, false);
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

/* The hardware address is locally administered, and the slot's own. */
static int make_pair(struct airlock *airlock, const struct airlock_link *link, int agent_netns)
{
    const struct netlink_veth veth = {
        .name = link->name,
        .index = (int)(AIRLOCK_INDEX_BASE + link->slot),
        .other_name = "eth0",
        .other_index = AGENT_LINK_INDEX,
        .other_netns = agent_netns,
        .hardware = {0x02, 'c', 'g', 0, (uint8_t)(link->slot >> 8), (uint8_t)link->slot},
    };

    return netlink_veth_make(airlock->netlink, &veth);
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
    CLEANUP(netlink_closep) struct nl_sock *agent_netlink = NULL;
    const int index = (int)(AIRLOCK_INDEX_BASE + link->slot);
    int r;

    r = make_sockets(airlock, agent_netns, link, setup, &agent_netlink);
    if (r >= 0)
        r = make_pair(airlock, link, agent_netns);
    if (r >= 0)
        r = netlink_link_up(airlock->netlink, index, true);
    if (r >= 0)
        r = netlink_address_add(airlock->netlink, index, link->gate_address, link->agent_address);
    if (r >= 0)
        r = netlink_link_up(agent_netlink, LOOPBACK_INDEX, false);
    if (r >= 0)
        r = netlink_link_up(agent_netlink, AGENT_LINK_INDEX, true);
    if (r >= 0)
        r = netlink_address_add(agent_netlink, AGENT_LINK_INDEX, link->agent_address,
                                link->gate_address);
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
    int r = netlink_link_delete(airlock->netlink, (int)(AIRLOCK_INDEX_BASE + slot));

    return r == -ENODEV ? 0 : r < 0 ? r : 1;
}
