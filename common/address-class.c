/* The IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, 8190) as of 2025-10-09 as
 * tables, and what is not unicast at all. Rows stand with the longer prefix first: the first match
 * names the address. Behind each row stand the rows of the registries that it is, or that lie in
 * it; a unit test holds the tables against a copy of them.
 *
 * Registry rows that are "globally reachable" are refused here too where they are anycast addresses
 * or identifiers inside a block of protocol assignments (nothing that an agent should talk to lives
 * there) and for NAT64, which leads wherever the embedded address does. Metadata services of clouds
 * have rows of their own, so that a card that lists a range around them does not list them by
 * accident. */
#include "address-class.h"

#include <arpa/inet.h>

#include "util.h"

struct special_v4 {
    uint32_t network; /* host byte order */
    unsigned prefix_length;
    const char *name;
};

struct special_v6 {
    struct in6_addr network;
    unsigned prefix_length;
    const char *name;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))
#define V6(...)                                                                                    \
    {                                                                                              \
        .s6_addr = { __VA_ARGS__ }                                                                 \
    }

#define METADATA "cloud metadata"

static const struct special_v4 special_v4[] = {
    {V4(169, 254, 169, 254), 32, METADATA},    /* most clouds; in 169.254.0.0/16 */
    {V4(169, 254, 170, 2), 32, METADATA},      /* AWS, of containers */
    {V4(169, 254, 170, 23), 32, METADATA},     /* AWS, of pods */
    {V4(100, 100, 100, 200), 32, METADATA},    /* Alibaba Cloud; in 100.64.0.0/10 */
    {V4(169, 254, 0, 23), 32, METADATA},       /* Tencent Cloud */
    {V4(169, 254, 42, 42), 32, METADATA},      /* Scaleway */
    {V4(192, 0, 0, 192), 32, METADATA},        /* Oracle Cloud Classic; in 192.0.0.0/24 */
    {V4(168, 63, 129, 16), 32, METADATA},      /* Azure's platform; public in form */
    {V4(255, 255, 255, 255), 32, "broadcast"}, /* 255.255.255.255/32 Limited Broadcast */
    /* 192.0.0.0/24 IETF Protocol Assignments; 192.0.0.0/29, 192.0.0.8/32, 192.0.0.9/32,
     * 192.0.0.10/32, 192.0.0.170/32 and 192.0.0.171/32 */
    {V4(192, 0, 0, 0), 24, "IETF protocol assignment"},
    {V4(192, 0, 2, 0), 24, "documentation"},    /* 192.0.2.0/24 TEST-NET-1 */
    {V4(198, 51, 100, 0), 24, "documentation"}, /* 198.51.100.0/24 TEST-NET-2 */
    {V4(203, 0, 113, 0), 24, "documentation"},  /* 203.0.113.0/24 TEST-NET-3 */
    {V4(192, 88, 99, 0), 24, "6to4 relay"},     /* 192.88.99.0/24 and 192.88.99.2/32 6a44 */
    {V4(169, 254, 0, 0), 16, "link-local"},     /* 169.254.0.0/16 Link Local */
    {V4(192, 168, 0, 0), 16, "private"},        /* 192.168.0.0/16 Private-Use */
    {V4(198, 18, 0, 0), 15, "benchmarking"},    /* 198.18.0.0/15 Benchmarking */
    {V4(172, 16, 0, 0), 12, "private"},         /* 172.16.0.0/12 Private-Use */
    {V4(100, 64, 0, 0), 10, "shared (CGNAT)"},  /* 100.64.0.0/10 Shared Address Space */
    /* 0.0.0.0/8 This network, 0.0.0.0/32 This host on this network */
    {V4(0, 0, 0, 0), 8, "unspecified or this network"},
    {V4(10, 0, 0, 0), 8, "private"},    /* 10.0.0.0/8 Private-Use */
    {V4(127, 0, 0, 0), 8, "loopback"},  /* 127.0.0.0/8 Loopback */
    {V4(224, 0, 0, 0), 4, "multicast"}, /* RFC 5771 */
    {V4(240, 0, 0, 0), 4, "reserved"},  /* 240.0.0.0/4 Reserved */
};

static const struct special_v6 special_v6[] = {
    {V6(0), 128, "unspecified"},     /* ::/128 Unspecified Address */
    {V6([15] = 1), 128, "loopback"}, /* ::1/128 Loopback Address */
    {V6(0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54), 128, METADATA},      /* AWS */
    {V6(0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23), 128, METADATA},                   /* AWS, of pods */
    {V6(0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54), 128, METADATA},      /* Google */
    {V6(0xfd, 0x00, 0x00, 0x42, [15] = 0x42), 128, METADATA},                   /* Scaleway */
    {V6(0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe), 128, METADATA}, /* Oracle Cloud */
    {V6(0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe), 128, METADATA},             /* OpenStack */
    {V6([10] = 0xff, [11] = 0xff), 96, "IPv4-mapped"},     /* ::ffff:0:0/96 IPv4-mapped Address */
    {V6([8] = 0xff, [9] = 0xff), 96, "IPv4-translated"},   /* ::ffff:0:0:0/96, RFC 2765 */
    {V6(0), 96, "IPv4-compatible"},                        /* ::/96, RFC 4291 */
    {V6(0x00, 0x64, 0xff, 0x9b), 96, "NAT64"},             /* 64:ff9b::/96 IPv4-IPv6 Translat. */
    {V6(0x01, 0x00), 64, "discard-only"},                  /* 100::/64 Discard-Only */
    {V6(0x01, 0x00, [7] = 0x01), 64, "dummy prefix"},      /* 100:0:0:1::/64 Dummy IPv6 Prefix */
    {V6(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 48, "NAT64"}, /* 64:ff9b:1::/48 IPv4-IPv6 Translat. */
    {V6(0x20, 0x01, 0x0d, 0xb8), 32, "documentation"},     /* 2001:db8::/32 Documentation */
    {V6(0x20, 0x01, 0x00, 0x00), 32, "Teredo"},            /* 2001::/32 TEREDO */
    /* 2001::/23 IETF Protocol Assignments; 2001:1::1/128, 2001:1::2/128, 2001:1::3/128,
     * 2001:2::/48 Benchmarking, 2001:3::/32 AMT, 2001:4:112::/48 AS112-v6, 2001:10::/28 ORCHID,
     * 2001:20::/28 ORCHIDv2, 2001:30::/28 DETs */
    {V6(0x20, 0x01, 0x00, 0x00), 23, "IETF protocol assignment"},
    {V6(0x3f, 0xff, 0x00, 0x00), 20, "documentation"}, /* 3fff::/20 Documentation */
    {V6(0x20, 0x02), 16, "6to4"},                      /* 2002::/16 6to4 */
    {V6(0x5f, 0x00), 16, "segment routing"},           /* 5f00::/16 Segment Routing (SRv6) SIDs */
    {V6(0xfe, 0x80), 10, "link-local"},                /* fe80::/10 Link-Local Unicast */
    {V6(0xfe, 0xc0), 10, "site-local"},                /* RFC 3879 */
    {V6(0xff, 0x00), 8, "multicast"},                  /* RFC 4291 */
    {V6(0xfc, 0x00), 7, "private (unique local)"},     /* fc00::/7 Unique-Local */
};

/* Global unicast is assigned from 2000::/3 alone (IANA IPv6 Global Unicast Address registry). */
static const struct ip_address global_unicast_v6 = {.family = AF_INET6, .v6 = V6(0x20)};
#define GLOBAL_UNICAST_V6_LENGTH 3

bool address_in_network(const struct ip_address *address, const struct ip_address *network,
                        unsigned prefix_length)
{
    if (address->family != network->family)
        return false;
    if (address->family != AF_INET && address->family != AF_INET6)
        return false;
    const uint8_t *a = address->v6.s6_addr; /* both forms start at the union's first byte */
    const uint8_t *n = network->v6.s6_addr;
    unsigned bits = address->family == AF_INET ? 32 : 128;
    if (prefix_length > bits)
        return false;
    unsigned whole = prefix_length / 8;
    unsigned rest = prefix_length % 8;
    if (memcmp(a, n, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ n[whole]) >> (8 - rest) == 0;
}

/* Of the blocks that are no smaller than a prefix of `prefix_length`, the smallest that it is in.
 */
static const char *special_block_v4(const struct ip_address *address, unsigned prefix_length,
                                    unsigned *ret_block_length)
{
    const uint32_t number = ntohl(address->v4.s_addr);

    /* By numbers, since a gate does this for each request. No prefix has length 0. */
    for (size_t i = 0; i < ARRAY_SIZE(special_v4); i++) {
        if (special_v4[i].prefix_length <= prefix_length &&
            (number ^ special_v4[i].network) >> (32 - special_v4[i].prefix_length) == 0) {
            *ret_block_length = special_v4[i].prefix_length;
            return special_v4[i].name;
        }
    }
    return NULL;
}

static const char *special_block_v6(const struct ip_address *address, unsigned prefix_length,
                                    unsigned *ret_block_length)
{
    for (size_t i = 0; i < ARRAY_SIZE(special_v6); i++) {
        struct ip_address network = {.family = AF_INET6, .v6 = special_v6[i].network};
        if (special_v6[i].prefix_length <= prefix_length &&
            address_in_network(address, &network, special_v6[i].prefix_length)) {
            *ret_block_length = special_v6[i].prefix_length;
            return special_v6[i].name;
        }
    }
    if (address_in_network(address, &global_unicast_v6,
                           MIN_OF(prefix_length, (unsigned)GLOBAL_UNICAST_V6_LENGTH)))
        return NULL;
    *ret_block_length = GLOBAL_UNICAST_V6_LENGTH;
    return "not global unicast";
}

const char *address_special_range(const struct ip_address *network, unsigned prefix_length,
                                  unsigned *ret_block_length)
{
    switch (network->family) {
    case AF_INET:
        return special_block_v4(network, prefix_length, ret_block_length);
    case AF_INET6:
        return special_block_v6(network, prefix_length, ret_block_length);
    default:
        *ret_block_length = 0;
        return "not an IP address";
    }
}

const char *address_special_block(const struct ip_address *address, unsigned *ret_prefix_length)
{
    return address_special_range(address, address->family == AF_INET ? 32 : 128, ret_prefix_length);
}

const char *address_special(const struct ip_address *address)
{
    unsigned prefix_length;
    return address_special_block(address, &prefix_length);
}

/* -- what an IPv6 address embeds -- */

/* Where the four bytes stand behind a prefix. */
static const struct {
    struct in6_addr network;
    unsigned prefix_length;
    unsigned offset;
    uint8_t mask; /* Teredo's client is written with every bit turned (RFC 4380) */
} embeddings[] = {
    {V6([10] = 0xff, [11] = 0xff), 96, 12, 0},
    {V6([8] = 0xff, [9] = 0xff), 96, 12, 0},
    {V6(0), 96, 12, 0},
    {V6(0x00, 0x64, 0xff, 0x9b), 96, 12, 0},             /* RFC 6052 */
    {V6(0x00, 0x64, 0xff, 0x9b, 0x00, 0x01), 48, 12, 0}, /* RFC 8215 */
    {V6(0x20, 0x02), 16, 2, 0},                          /* RFC 3056 */
    {V6(0x20, 0x01, 0x00, 0x00), 32, 4, 0},              /* Teredo's server */
    {V6(0x20, 0x01, 0x00, 0x00), 32, 12, 0xff},
};

size_t address_embedded(const struct ip_address *address,
                        struct ip_address ret[static ADDRESS_EMBEDDED_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(embeddings) && n < ADDRESS_EMBEDDED_MAX; i++) {
        struct ip_address network = {.family = AF_INET6, .v6 = embeddings[i].network};
        if (!address_in_network(address, &network, embeddings[i].prefix_length))
            continue;
        uint8_t bytes[4];
        for (size_t b = 0; b < sizeof(bytes); b++)
            bytes[b] = address->v6.s6_addr[embeddings[i].offset + b] ^ embeddings[i].mask;
        ret[n] = (struct ip_address){.family = AF_INET};
        memcpy(&ret[n++].v4, bytes, sizeof(bytes));
    }
    return n;
}

/* -- kinds -- */

static bool is_metadata_itself(const struct ip_address *address)
{
    const char *special = address_special(address);

    return special && streq(special, METADATA);
}

bool address_is_metadata(const struct ip_address *address)
{
    struct ip_address embedded[ADDRESS_EMBEDDED_MAX];
    size_t n = address_embedded(address, embedded);
    bool found = is_metadata_itself(address);

    for (size_t i = 0; !found && i < n; i++)
        found = is_metadata_itself(&embedded[i]);
    return found;
}

bool address_is_loopback(const struct ip_address *address)
{
    if (address->family == AF_INET)
        return ntohl(address->v4.s_addr) >> 24 == 127;
    return address->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address->v6);
}

bool address_is_mapped(const struct ip_address *address)
{
    return address->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6);
}
