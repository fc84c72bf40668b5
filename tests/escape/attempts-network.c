/* Attempts on the network: changing the cage's own, and reaching what is not its gate. */
#include "attempts.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util.h"

/* -- rtnetlink: each request asks for an acknowledgement and returns its errno -- */

struct request {
    struct nlmsghdr head;
    union {
        struct ifinfomsg link;
        struct ifaddrmsg address;
        struct rtmsg route;
    } body;
    struct rtattr attribute;
    uint8_t value[16];
};

static int ask_netlink(struct request *request)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
        uint8_t rest[256];
    } answer;
    AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return negative_errno();
    request->head.nlmsg_len = sizeof(*request);
    request->head.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    if (send(fd, request, sizeof(*request), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
        return negative_errno();
    return answer.head.nlmsg_type == NLMSG_ERROR ? answer.error.error : 0;
}

/* 192.0.2.1, an address for documentation */
#define VALUE_ADDRESS                                                                              \
    {                                                                                              \
        192, 0, 2, 1                                                                               \
    }

static int add_address(char **arguments)
{
    struct request request = {
        .head = {.nlmsg_type = RTM_NEWADDR, .nlmsg_flags = NLM_F_CREATE},
        .body.address = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = 1},
        .attribute = {.rta_type = IFA_LOCAL, .rta_len = RTA_LENGTH(4)},
        .value = VALUE_ADDRESS,
    };

    return ask_netlink(&request);
}

static int link_down(char **arguments)
{
    struct request request = {
        .head = {.nlmsg_type = RTM_NEWLINK},
        .body.link = {.ifi_index = 1, .ifi_change = IFF_UP},
    };

    return ask_netlink(&request);
}

static int add_link(char **arguments)
{
    struct request request = {
        .head = {.nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
        .attribute = {.rta_type = IFLA_IFNAME, .rta_len = RTA_LENGTH(2)},
        .value = "x",
    };

    return ask_netlink(&request);
}

static int delete_link(char **arguments)
{
    struct request request = {
        .head = {.nlmsg_type = RTM_DELLINK},
        .body.link = {.ifi_index = 1},
    };

    return ask_netlink(&request);
}

static int add_route(char **arguments)
{
    struct request request = {
        .head = {.nlmsg_type = RTM_NEWROUTE, .nlmsg_flags = NLM_F_CREATE},
        .body.route = {.rtm_family = AF_INET,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_STATIC,
                       .rtm_scope = RT_SCOPE_LINK,
                       .rtm_type = RTN_UNICAST},
        .attribute = {.rta_type = RTA_OIF, .rta_len = RTA_LENGTH(4)},
        .value = {1},
    };

    return ask_netlink(&request);
}

/* -- the old ways -- */

static int change_interface(unsigned long command)
{
    struct ifreq request = {.ifr_name = "lo"};
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return negative_errno();
    request.ifr_addr.sa_family = AF_INET;
    return ioctl(fd, command, &request) < 0 ? negative_errno() : 0;
}

static int set_address(char **arguments)
{
    return change_interface(SIOCSIFADDR);
}

static int set_flags(char **arguments)
{
    return change_interface(SIOCSIFFLAGS);
}

static int set_route(char **arguments)
{
    struct rtentry route = {};
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return negative_errno();
    route.rt_dst.sa_family = AF_INET;
    return ioctl(fd, SIOCADDRT, &route) < 0 ? negative_errno() : 0;
}

static int set_option(int level, int option)
{
    int one = 1;
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return negative_errno();
    return setsockopt(fd, level, option, &one, sizeof(one)) < 0 ? negative_errno() : 0;
}

static int set_mark(char **arguments)
{
    return set_option(SOL_SOCKET, SO_MARK);
}

static int set_transparent(char **arguments)
{
    return set_option(IPPROTO_IP, IP_TRANSPARENT);
}

/* -- reaching out -- */

static int try_connect(const char *address, const char *port, int type)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v6 = strchr(address, ':');
    in_port_t number = htons((uint16_t)strtoul(port, NULL, 10));

    v4.sin_port = v6.sin6_port = number;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address,
                  is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) != 1)
        return -EINVAL;
    AUTO_FD int fd = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return negative_errno();
    const struct sockaddr *where =
        is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    return connect(fd, where, is_v6 ? sizeof(v6) : sizeof(v4)) < 0 ? negative_errno() : 0;
}

static int metadata(char **arguments)
{
    return try_connect("169.254.169.254", "80", SOCK_STREAM);
}

static int internet(char **arguments)
{
    return try_connect("1.1.1.1", "443", SOCK_STREAM);
}

static int internet_6(char **arguments)
{
    return try_connect("2606:4700:4700::1111", "443", SOCK_STREAM);
}

static int name_server(char **arguments)
{
    return try_connect("1.1.1.1", "53", SOCK_DGRAM);
}

static int multicast(char **arguments)
{
    return try_connect("224.0.0.251", "5353", SOCK_DGRAM);
}

/* A port of the host's loopback, which is not the cage's. */
static int host_loopback(char **arguments)
{
    return arguments[0] ? try_connect("127.0.0.1", arguments[0], SOCK_STREAM) : -EINVAL;
}

static int host_loopback_6(char **arguments)
{
    return arguments[0] ? try_connect("::1", arguments[0], SOCK_STREAM) : -EINVAL;
}

/* An address that there is no route to: another agent's, another gate's, the host's. */
static int unrouted(char **arguments)
{
    return arguments[0] && arguments[1] ? try_connect(arguments[0], arguments[1], SOCK_STREAM)
                                        : -EINVAL;
}

/* A socket bound to the link reaches for any address on it. If the kernel asks there who has it, it
 * keeps a note of that in a table that is one for the whole host, and small. Refused with ENOENT if
 * it never asks, with ENODEV in a cage without a network. */
static int ask_for_neighbours(char **arguments)
{
    const struct sockaddr_in nobody = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a090909)};
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char line[256];
    int r = -ENOENT;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 4) < 0 ||
        sendto(fd, "x", 1, 0, (const struct sockaddr *)&nobody, sizeof(nobody)) < 0)
        return negative_errno();
    FILE *asked = fopen("/proc/net/arp", "re");
    if (!asked)
        return negative_errno();
    while (fgets(line, sizeof(line), asked))
        if (has_prefix(line, "10.9.9.9 "))
            r = 0;
    (void)fclose(asked);
    return r;
}

/* An address on the cage's own link where nothing listens for it: its gate's other ports. */
static int closed_port(char **arguments)
{
    return unrouted(arguments);
}

static int abstract_socket(char **arguments)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!arguments[0] || strlen(arguments[0]) > sizeof(address.sun_path) - 1)
        return -EINVAL;
    size_t length = strlen(arguments[0]);
    memcpy(address.sun_path + 1, arguments[0], length);
    if (fd < 0)
        return negative_errno();
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    return connect(fd, (const struct sockaddr *)&address, size) < 0 ? negative_errno() : 0;
}

const struct attempt network_attempts[] = {
    {"add-address", add_address, {EPERM}},
    {"link-down", link_down, {EPERM}},
    {"add-link", add_link, {EPERM}},
    {"delete-link", delete_link, {EPERM}},
    {"add-route", add_route, {EPERM}},
    {"set-address", set_address, {EPERM}},
    {"set-flags", set_flags, {EPERM}},
    {"set-route", set_route, {EPERM}},
    {"set-mark", set_mark, {EPERM}},
    {"set-transparent", set_transparent, {EPERM}},
    {"ask-for-neighbours", ask_for_neighbours, {ENOENT, ENODEV}},
    {"metadata", metadata, {ENETUNREACH}},
    {"internet", internet, {ENETUNREACH}},
    {"internet-6", internet_6, {ENETUNREACH}},
    {"name-server", name_server, {ENETUNREACH}},
    {"multicast", multicast, {ENETUNREACH}},
    {"host-loopback", host_loopback, {ECONNREFUSED}, "PORT"},
    {"host-loopback-6", host_loopback_6, {ECONNREFUSED, EADDRNOTAVAIL}, "PORT"},
    {"unrouted", unrouted, {ENETUNREACH}, "ADDRESS PORT"},
    {"closed-port", closed_port, {ECONNREFUSED}, "ADDRESS PORT"},
    {"abstract-socket", abstract_socket, {ECONNREFUSED}, "NAME"},
};
const size_t n_network_attempts = ARRAY_SIZE(network_attempts);
