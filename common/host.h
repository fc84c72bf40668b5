/* Hosts and ports as a request or a card names them, in one canonical form. Pure; fuzzed. */
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

/* Canonical host from `length` bytes of text (a name, an IPv4 literal, an IPv6 literal with or
 * without brackets). -EINVAL with *ret_why set to a static sentence that says what is wrong for
 * everything else: control bytes, NUL, userinfo, octal/hex/short IPv4 forms, zone ids, empty or
 * over-long labels, non-ASCII, labels that begin with xn-- and encode nothing. */
int host_parse(const char *text, size_t length, struct host *ret, const char **ret_why);

/* A port from 1 to 65535 in decimal digits without leading zeros. 0 or -EINVAL. */
int host_port_parse(const char *text, size_t length, uint16_t *ret);

/* Where the host of `host[:port]` ends: behind the bracket, or at the first colon. */
size_t host_authority_split(const char *text, size_t length);

/* `host` or `host:port` as in a CONNECT request or an http URI; IPv6 literals in brackets. Without
 * a port *ret_port is `default_port`; if that is 0 too, the port is required. -EINVAL with *ret_why
 * as above. */
int host_authority_parse(const char *text, size_t length, uint16_t default_port, struct host *ret,
                         uint16_t *ret_port, const char **ret_why);

/* Decimal without sign or leading zeros, at most `max`. 0 or -EINVAL. */
int host_number_parse(const char *text, size_t length, unsigned max, unsigned *ret);

/* The canonical text of an address, "" for none; `buffer` of INET6_ADDRSTRLEN bytes is returned. */
const char *ip_address_format(const struct ip_address *address, char *buffer);
