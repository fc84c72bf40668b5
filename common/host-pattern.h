/* Patterns of allowed_hosts and denied_hosts, and what they match. Pure; fuzzed.
 *
 * A pattern is an exact name, `*.name` (every subdomain, not the name itself), `localhost`, an
 * IPv4 or [IPv6] literal, or a CIDR range (10.0.0.0/8, [fd00::]/8, fd00::/8), each with an
 * optional `:port`, or `:*` for every port; without one it allows ports 80 and 443, and denies
 * every port. Options may stand behind it: `;sni=any`.
 *
 * In a site policy a pattern is a ceiling as well (host-cover.c): what lists of cards are held
 * against. There `*` stands for any host, on every port unless one follows (`*:443`). */
#pragma once

#include "host.h"

enum host_pattern_kind {
    HOST_PATTERN_NAME,
    HOST_PATTERN_SUBDOMAINS,
    HOST_PATTERN_NETWORK, /* a literal is a network of full length */
    HOST_PATTERN_ANY,     /* only from host_pattern_parse_ceiling() */
};

struct host_pattern {
    enum host_pattern_kind kind;
    char name[HOST_NAME_MAX_LENGTH + 1]; /* without the leading "*." */
    struct ip_address network;
    unsigned prefix_length;
    uint16_t port; /* 0: none was given, or any_port */
    bool any_port;
    bool any_sni; /* ";sni=any": the name in a TLS ClientHello is not looked at */
};

/* Room for every canonical text of a pattern. */
#define HOST_PATTERN_TEXT_MAX (HOST_NAME_MAX_LENGTH + 32)

/* 0, or -EINVAL with *ret_why set to a static sentence that says what is wrong
 * ("octal and short IPv4 forms are not accepted"). Nothing is allocated. */
int host_pattern_parse(const char *text, struct host_pattern *ret, const char **ret_why);

/* The canonical text, which parses to the same pattern: lower case, no trailing dot, addresses as
 * RFC 5952 has them, IPv6 in brackets. `buffer` is returned. */
const char *host_pattern_format(const struct host_pattern *pattern,
                                char buffer[static HOST_PATTERN_TEXT_MAX]);

/* Whether both stand for the same hosts and ports, however they were written; options do not count.
 */
bool host_pattern_is_same(const struct host_pattern *a, const struct host_pattern *b);

/* Whether the pattern has options behind it. */
bool host_pattern_has_options(const struct host_pattern *pattern);

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

/* Whether the pattern, as an entry of denied_hosts, denies this host by the way it was named. */
bool host_pattern_denies(const struct host_pattern *pattern, const struct host *host,
                         uint16_t port);

/* The same for an address, however it was come by: by a range or literal that it is in
 * (`localhost`: loopback), itself, as the IPv4 address that it embeds, or as the loopback that an
 * address of zeros stands for. */
bool host_pattern_denies_address(const struct host_pattern *pattern,
                                 const struct ip_address *address, uint16_t port);

/* -- ceilings -- */

/* As host_pattern_parse, and `*` is taken too. */
int host_pattern_parse_ceiling(const char *text, struct host_pattern *ret, const char **ret_why);

/* Whether whatever the entry of an allowed_hosts lets through, the ceiling would let through as an
 * entry itself: every host on every port, and options. A range of addresses counts by what it lists
 * (host_pattern_lists_address): 169.254.0.0/16 does not cover 169.254.169.254. What embeds an IPv4
 * address is covered by itself and `*` alone, since it is consent to wherever that leads. */
bool host_pattern_covers(const struct host_pattern *ceiling, const struct host_pattern *entry);

/* Whether there may be a name that both let through, ports aside. */
bool host_pattern_names_meet(const struct host_pattern *a, const struct host_pattern *b);

/* Whether the entry stands for what is not globally routable: localhost, or addresses all of which
 * are special. A name is none, wherever it may lead: the gate asks for consent to that address. */
bool host_pattern_is_special(const struct host_pattern *entry);

/* Whether `name` is a subdomain of `parent`, which it is not of itself. */
bool host_name_is_below(const char *name, const char *parent);
