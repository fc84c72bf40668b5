/* Patterns of allowed_hosts and the canonical form of a host in a request. Pure; fuzzed.
 *
 * A pattern is an exact name, `*.name` (every subdomain, not the name itself), `localhost`, an
 * IPv4 or [IPv6] literal, or a CIDR range (10.0.0.0/8, [fd00::]/8, fd00::/8), each with an
 * optional `:port`; without one it means ports 80 and 443. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HOST_NAME_MAX_LENGTH 253 /* RFC 1035, without the trailing dot */

struct ip_address {
    sa_family_t family; /* AF_INET or AF_INET6; AF_UNSPEC: none */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    };
};

/* A host as a request names it, canonical: lower case, no trailing dot, literals parsed. */
struct host {
    char name[HOST_NAME_MAX_LENGTH + 1]; /* text form, for addresses too (IPv6 without brackets) */
    struct ip_address address;           /* family AF_UNSPEC for a name */
};

enum host_pattern_kind {
    HOST_PATTERN_NAME,
    HOST_PATTERN_SUBDOMAINS,
    HOST_PATTERN_NETWORK, /* a literal is a network of full length */
};

struct host_pattern {
    enum host_pattern_kind kind;
    char name[HOST_NAME_MAX_LENGTH + 1]; /* without the leading "*." */
    struct ip_address network;
    unsigned prefix_length;
    uint16_t port; /* 0: 80 and 443 */
};

/* 0, or -EINVAL with *ret_why set to a static sentence that says what is wrong
 * ("octal and short IPv4 forms are not accepted"). Nothing is allocated. */
int host_pattern_parse(const char *text, struct host_pattern *ret, const char **ret_why);

/* Canonical host from `length` bytes of text (a name, an IPv4 literal, an IPv6 literal with or
 * without brackets). -EINVAL with *ret_why for everything else: control bytes, NUL, userinfo,
 * octal/hex/short IPv4 forms, zone ids, empty or over-long labels, non-ASCII. */
int host_parse(const char *text, size_t length, struct host *ret, const char **ret_why);

/* Whether the pattern allows this host by the way it was named (a name is never matched by an
 * address, nor an address by a name) on this port. */
bool host_pattern_matches(const struct host_pattern *pattern, const struct host *host,
                          uint16_t port);

/* Whether the pattern lists this very address (HOST_PATTERN_NETWORK, or `localhost` for loopback)
 * on this port: the way in which a card reaches what is not globally routable. A range lists a
 * special address only if it lies wholly inside the block that makes the address special:
 * 0.0.0.0/0 is no consent to 169.254.169.254. An IPv4-mapped address is never listed. */
bool host_pattern_lists_address(const struct host_pattern *pattern,
                                const struct ip_address *address, uint16_t port);

/* A port from 1 to 65535 in decimal digits without leading zeros. 0 or -EINVAL. */
int host_port_parse(const char *text, size_t length, uint16_t *ret);

/* `host` or `host:port` as in a CONNECT request or an http URI; IPv6 literals in brackets. Without
 * a port *ret_port is `default_port`; if that is 0 too, the port is required. -EINVAL with *ret_why
 * as above. */
int host_authority_parse(const char *text, size_t length, uint16_t default_port, struct host *ret,
                         uint16_t *ret_port, const char **ret_why);

/* The canonical text of an address, "" for none; `buffer` of INET6_ADDRSTRLEN bytes is returned. */
const char *ip_address_format(const struct ip_address *address, char *buffer);
