/* Patterns of allowed_hosts and the canonical form of a host in a request. Pure; fuzzed.
 *
 * A pattern is an exact name, `*.name` (every subdomain, not the name itself), `localhost`, an
 * IPv4 or [IPv6] literal, or a CIDR range, each with an optional `:port`; without one it means
 * ports 80 and 443. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>

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
 * on this port: the way in which a card reaches what is not globally routable. */
bool host_pattern_lists_address(const struct host_pattern *pattern,
                                const struct ip_address *address, uint16_t port);
