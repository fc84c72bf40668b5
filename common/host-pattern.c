/* Patterns: what stands in front of the port is a host in its canonical form (host.c), so that
 * every comparison is one of canonical forms. */
#include "host-pattern.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "address-class.h"
#include "util.h"

static int invalid(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

/* -- options -- */

static const struct {
    const char *text;
    size_t flag; /* in struct host_pattern */
} options[] = {
    {"sni=any", offsetof(struct host_pattern, any_sni)},
};

static bool *option_flag(struct host_pattern *pattern, size_t i)
{
    return (bool *)(void *)((char *)pattern + options[i].flag);
}

/* `text` follows a ";": one option or several, with a ";" between them. */
static int options_parse(const char *text, struct host_pattern *pattern, const char **ret_why)
{
    for (;;) {
        size_t length = strcspn(text, ";"), i = 0;
        while (i < ARRAY_SIZE(options) &&
               (strlen(options[i].text) != length || memcmp(options[i].text, text, length) != 0))
            i++;
        if (i == ARRAY_SIZE(options))
            return invalid(ret_why, "what follows the \";\" is no option that there is; the only "
                                    "one is \";sni=any\"");
        if (*option_flag(pattern, i))
            return invalid(ret_why, "an option behind the \";\" stands there twice");
        *option_flag(pattern, i) = true;
        if (text[length] == '\0')
            return 0;
        text += length + 1;
    }
}

bool host_pattern_has_options(const struct host_pattern *pattern)
{
    struct host_pattern copy = *pattern;

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (*option_flag(&copy, i))
            return true;
    return false;
}

/* -- parsing -- */

/* `text` follows the colon. */
static int port_parse(const char *text, size_t length, struct host_pattern *pattern,
                      const char **ret_why)
{
    if (length == 1 && text[0] == '*') {
        pattern->any_port = true;
        return 0;
    }
    if (host_port_parse(text, length, &pattern->port) < 0)
        return invalid(ret_why, "the port is not a number from 1 to 65535, nor \"*\" for every "
                                "port");
    return 0;
}

static bool host_bits_set(const struct ip_address *network, unsigned prefix_length)
{
    unsigned bits = network->family == AF_INET ? 32 : 128;
    for (unsigned bit = prefix_length; bit < bits; bit++)
        if (network->v6.s6_addr[bit / 8] >> (7 - bit % 8) & 1)
            return true;
    return false;
}

/* `text` is what follows the slash: a length, perhaps with a port. */
static int network_parse(const char *text, size_t length, struct host_pattern *pattern,
                         const char **ret_why)
{
    unsigned bits = pattern->network.family == AF_INET ? 32 : 128;
    const char *colon = memchr(text, ':', length);
    size_t digits = colon ? (size_t)(colon - text) : length;

    if (host_number_parse(text, digits, bits, &pattern->prefix_length) < 0)
        return invalid(ret_why, "the prefix length of the range is not a number that fits it "
                                "(0 to 32 for IPv4, 0 to 128 for IPv6)");
    if (colon && port_parse(colon + 1, length - digits - 1, pattern, ret_why) < 0)
        return -EINVAL;
    if (host_bits_set(&pattern->network, pattern->prefix_length))
        return invalid(ret_why, "the address of the range has bits set beyond its prefix length; "
                                "write the range's first address");
    return 0;
}

static int pattern_from_host(const struct host *host, struct host_pattern *pattern,
                             const char **ret_why)
{
    memcpy(pattern->name, host->name, sizeof(pattern->name));
    if (host->address.family == AF_UNSPEC)
        return 0;
    if (address_is_mapped(&host->address))
        return invalid(ret_why, "an IPv4-mapped IPv6 address cannot be listed; list the IPv4 "
                                "address itself");
    pattern->kind = HOST_PATTERN_NETWORK;
    pattern->network = host->address;
    pattern->prefix_length = host->address.family == AF_INET ? 32 : 128;
    return 0;
}

/* A literal with a prefix length: `text` up to the slash, then network_parse. */
static int range_parse(const char *text, size_t length, size_t slash, struct host_pattern *pattern,
                       const char **ret_why)
{
    struct host host;
    if (slash > 0 && text[slash - 1] == ':' && slash + 1 < length && text[slash + 1] == '/')
        return invalid(ret_why, "write the host alone, without \"http://\" and without a slash");
    int r = host_parse(text, slash, &host, ret_why);
    if (r < 0)
        return r;
    if (host.address.family == AF_UNSPEC)
        return invalid(ret_why, "only an IP address can be followed by a slash; URLs and paths are "
                                "not accepted");
    r = pattern_from_host(&host, pattern, ret_why);
    if (r < 0)
        return r;
    return network_parse(text + slash + 1, length - slash - 1, pattern, ret_why);
}

static int single_parse(const char *text, size_t length, struct host_pattern *pattern,
                        const char **ret_why)
{
    struct host host;
    bool subdomains = length >= 2 && text[0] == '*' && text[1] == '.';

    if (subdomains) {
        text += 2;
        length -= 2;
    }
    size_t host_length = host_authority_split(text, length);
    const char *rest = text + host_length;
    size_t rest_length = length - host_length;
    if (text[0] != '[' && rest_length > 1 && memchr(rest + 1, ':', rest_length - 1))
        return invalid(ret_why, "an IPv6 address stands in brackets: [2001:db8::1]");
    if (memchr(text, '*', host_length))
        return invalid(ret_why, "\"*\" can only stand for the subdomains of a name, as in "
                                "*.example.com, or for every port, as in example.com:*");
    if (memchr(text, '@', length))
        return invalid(ret_why, "user information (\"user@\") is not accepted in a host");
    int r = host_parse(text, host_length, &host, ret_why);
    if (r < 0)
        return r;
    if (rest_length > 0) {
        if (rest[0] != ':')
            return invalid(ret_why, "only \":\" and a port can follow the bracket");
        r = port_parse(rest + 1, rest_length - 1, pattern, ret_why);
        if (r < 0)
            return r;
    }
    if (subdomains && host.address.family != AF_UNSPEC)
        return invalid(ret_why, "an IP address has no subdomains");
    pattern->kind = subdomains ? HOST_PATTERN_SUBDOMAINS : HOST_PATTERN_NAME;
    return pattern_from_host(&host, pattern, ret_why);
}

int host_pattern_parse(const char *text, struct host_pattern *ret, const char **ret_why)
{
    struct host_pattern pattern = {0};
    size_t length = strcspn(text, ";");
    const char *slash = memchr(text, '/', length);

    int r = slash ? range_parse(text, length, (size_t)(slash - text), &pattern, ret_why)
                  : single_parse(text, length, &pattern, ret_why);
    if (r == 0 && text[length] == ';')
        r = options_parse(text + length + 1, &pattern, ret_why);
    if (r < 0)
        return r;
    *ret = pattern;
    return 0;
}

/* -- the canonical text -- */

static size_t append(char *buffer, size_t used, const char *format, ...) PRINTF_LIKE(3, 4);
static size_t append(char *buffer, size_t used, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf(buffer + used, HOST_PATTERN_TEXT_MAX - used, format, arguments);
    va_end(arguments);
    return n < 0 ? used : MIN_OF(used + (size_t)n, (size_t)HOST_PATTERN_TEXT_MAX - 1);
}

const char *host_pattern_format(const struct host_pattern *pattern,
                                char buffer[static HOST_PATTERN_TEXT_MAX])
{
    struct host_pattern copy = *pattern;
    bool v6 = pattern->network.family == AF_INET6;
    unsigned bits = v6 ? 128 : 32;
    size_t used =
        append(buffer, 0, "%s%s%s%s", pattern->kind == HOST_PATTERN_SUBDOMAINS ? "*." : "",
               v6 ? "[" : "", pattern->name, v6 ? "]" : "");

    if (pattern->kind == HOST_PATTERN_NETWORK && pattern->prefix_length != bits)
        used = append(buffer, used, "/%u", pattern->prefix_length);
    if (pattern->any_port)
        used = append(buffer, used, ":*");
    else if (pattern->port)
        used = append(buffer, used, ":%u", pattern->port);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (*option_flag(&copy, i))
            used = append(buffer, used, ";%s", options[i].text);
    return buffer;
}

bool host_pattern_is_same(const struct host_pattern *a, const struct host_pattern *b)
{
    return a->kind == b->kind && streq(a->name, b->name) && a->port == b->port &&
           a->any_port == b->any_port && a->prefix_length == b->prefix_length;
}

/* -- matching -- */

static bool port_matches(const struct host_pattern *pattern, uint16_t port)
{
    if (pattern->any_port)
        return port != 0;
    return pattern->port ? port == pattern->port : port == 80 || port == 443;
}

bool host_name_is_below(const char *name, const char *parent)
{
    size_t n = strlen(name);
    size_t p = strlen(parent);
    return n > p + 1 && name[n - p - 1] == '.' && streq(name + n - p, parent);
}

static bool name_matches(const struct host_pattern *pattern, const char *name)
{
    return pattern->kind == HOST_PATTERN_SUBDOMAINS ? host_name_is_below(name, pattern->name)
                                                    : streq(name, pattern->name);
}

bool host_pattern_matches(const struct host_pattern *pattern, const struct host *host,
                          uint16_t port)
{
    bool literal = host->address.family != AF_UNSPEC;

    if (!port_matches(pattern, port))
        return false;
    if (pattern->kind != HOST_PATTERN_NETWORK)
        return !literal && name_matches(pattern, host->name);
    return literal && !address_is_mapped(&host->address) &&
           address_in_network(&host->address, &pattern->network, pattern->prefix_length);
}

bool host_pattern_lists_address(const struct host_pattern *pattern,
                                const struct ip_address *address, uint16_t port)
{
    unsigned block_length;

    if (!port_matches(pattern, port) || address_is_mapped(address))
        return false;
    if (pattern->kind == HOST_PATTERN_NAME)
        return streq(pattern->name, "localhost") && address_is_loopback(address);
    if (pattern->kind != HOST_PATTERN_NETWORK ||
        !address_in_network(address, &pattern->network, pattern->prefix_length))
        return false;
    return !address_special_block(address, &block_length) || pattern->prefix_length >= block_length;
}

/* -- denying -- */

static bool port_is_denied(const struct host_pattern *pattern, uint16_t port)
{
    return pattern->port == 0 || port == pattern->port;
}

static bool covers(const struct host_pattern *pattern, const struct ip_address *address)
{
    if (pattern->kind == HOST_PATTERN_NETWORK)
        return address_in_network(address, &pattern->network, pattern->prefix_length);
    return pattern->kind == HOST_PATTERN_NAME && streq(pattern->name, "localhost") &&
           address_is_loopback(address);
}

/* connect(2) takes an address of zeros for loopback: so does a denial. */
static bool covers_or_means(const struct host_pattern *pattern, const struct ip_address *address)
{
    const struct ip_address loopback[] = {
        {.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)},
        {.family = AF_INET6, .v6 = IN6ADDR_LOOPBACK_INIT},
    };
    bool zeros = (address->family == AF_INET && address->v4.s_addr == 0) ||
                 (address->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6));

    return covers(pattern, address) ||
           (zeros && (covers(pattern, &loopback[0]) || covers(pattern, &loopback[1])));
}

bool host_pattern_denies_address(const struct host_pattern *pattern,
                                 const struct ip_address *address, uint16_t port)
{
    struct ip_address embedded[ADDRESS_EMBEDDED_MAX];
    size_t n = address_embedded(address, embedded);

    if (!port_is_denied(pattern, port))
        return false;
    for (size_t i = 0; i < n; i++)
        if (covers_or_means(pattern, &embedded[i]))
            return true;
    return covers_or_means(pattern, address);
}

bool host_pattern_denies(const struct host_pattern *pattern, const struct host *host, uint16_t port)
{
    if (host->address.family != AF_UNSPEC)
        return host_pattern_denies_address(pattern, &host->address, port);
    return port_is_denied(pattern, port) && pattern->kind != HOST_PATTERN_NETWORK &&
           name_matches(pattern, host->name);
}
