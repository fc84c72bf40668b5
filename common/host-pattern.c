/* Hosts and patterns: one canonical form first, every comparison on that form alone.
 *
 * What looks like an IPv4 address but is not written as four plain decimal numbers is refused
 * rather than read as a name: resolvers and inet_aton(3) disagree about 0177.1, 0x7f.0.0.1 and
 * 2130706433, and a filter that reads them differently from the one who dials is no filter. The
 * test is that of the WHATWG URL standard: a host whose last label is a number is an address. */
#include "host-pattern.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "address-class.h"
#include "util.h"

#define LABEL_MAX 63 /* RFC 1035 */
#define PORT_DIGITS_MAX 5

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int invalid(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

/* Decimal without sign or leading zeros, at most `max`. */
static int number_parse(const char *text, size_t length, unsigned max, unsigned *ret)
{
    if (length == 0 || length > PORT_DIGITS_MAX || (length > 1 && text[0] == '0'))
        return -EINVAL;
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i]))
            return -EINVAL;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > max)
        return -EINVAL;
    *ret = value;
    return 0;
}

int host_port_parse(const char *text, size_t length, uint16_t *ret)
{
    unsigned value;
    if (number_parse(text, length, UINT16_MAX, &value) < 0 || value == 0)
        return -EINVAL;
    *ret = (uint16_t)value;
    return 0;
}

const char *ip_address_format(const struct ip_address *address, char *buffer)
{
    buffer[0] = '\0';
    if (address->family == AF_INET || address->family == AF_INET6)
        (void)inet_ntop(address->family, &address->v6, buffer, INET6_ADDRSTRLEN);
    return buffer;
}

/* -- literals -- */

/* inet_pton(3) takes exactly the strict forms, but only up to a NUL: the alphabet is checked first,
 * so that nothing hides behind one. */
static int literal_parse(const char *text, size_t length, sa_family_t family,
                         struct ip_address *ret)
{
    char copy[INET6_ADDRSTRLEN];
    if (length == 0 || length >= sizeof(copy))
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (hex_value(text[i]) < 0 && text[i] != '.' && text[i] != ':')
            return -EINVAL;
        copy[i] = text[i];
    }
    copy[length] = '\0';
    struct ip_address address = {.family = family};
    if (inet_pton(family, copy, &address.v6) != 1)
        return -EINVAL;
    *ret = address;
    return 0;
}

static int literal_v6_parse(const char *text, size_t length, struct ip_address *ret,
                            const char **ret_why)
{
    if (memchr(text, '%', length))
        return invalid(ret_why, "IPv6 zone ids (\"%...\") are not accepted");
    if (literal_parse(text, length, AF_INET6, ret) < 0)
        return invalid(ret_why, "this is not a well-formed IPv6 address");
    return 0;
}

static int literal_v4_parse(const char *text, size_t length, struct ip_address *ret,
                            const char **ret_why)
{
    if (literal_parse(text, length, AF_INET, ret) < 0)
        return invalid(ret_why, "an IPv4 address is four decimal numbers from 0 to 255; octal, "
                                "hexadecimal and short forms are not accepted");
    return 0;
}

/* -- names -- */

static bool ends_in_number(const char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && text[start - 1] != '.')
        start--;
    const char *label = text + start;
    size_t size = length - start;
    if (size >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
        label += 2;
        size -= 2;
        while (size > 0 && hex_value(*label) >= 0) {
            label++;
            size--;
        }
        return size == 0;
    }
    if (size == 0)
        return false;
    while (size > 0 && is_digit(*label)) {
        label++;
        size--;
    }
    return size == 0;
}

/* Letters, digits and inner hyphens (RFC 1123), and the underscore that real names use. */
static const char *label_fault(const char *label, size_t length)
{
    if (length == 0)
        return "a label of the name is empty";
    if (length > LABEL_MAX)
        return "a label of the name is longer than 63 characters";
    if (label[0] == '-' || label[length - 1] == '-')
        return "a label of the name starts or ends with a hyphen";
    for (size_t i = 0; i < length; i++) {
        char c = to_lower(label[i]);
        if ((unsigned char)c >= 0x80)
            return "the name is not ASCII; write international names in their xn-- form";
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
            return "the name has a character other than letters, digits, \"-\", \"_\" and \".\"";
    }
    return NULL;
}

static int name_parse(const char *text, size_t length, struct host *ret, const char **ret_why)
{
    if (length > HOST_NAME_MAX_LENGTH)
        return invalid(ret_why, "the name is longer than 253 characters");
    size_t start = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != '.')
            continue;
        const char *fault = label_fault(text + start, i - start);
        if (fault)
            return invalid(ret_why, fault);
        start = i + 1;
    }
    ret->address = (struct ip_address){.family = AF_UNSPEC};
    for (size_t i = 0; i < length; i++)
        ret->name[i] = to_lower(text[i]);
    ret->name[length] = '\0';
    return 0;
}

int host_parse(const char *text, size_t length, struct host *ret, const char **ret_why)
{
    struct host host = {0};
    int r;

    if (length == 0)
        return invalid(ret_why, "the host is empty");
    if (text[0] == '[') {
        if (length < 3 || text[length - 1] != ']')
            return invalid(ret_why, "the bracket of the IPv6 address is not closed");
        r = literal_v6_parse(text + 1, length - 2, &host.address, ret_why);
    } else if (memchr(text, ':', length)) {
        r = literal_v6_parse(text, length, &host.address, ret_why);
    } else if (memchr(text, '@', length)) {
        return invalid(ret_why, "user information (\"user@\") is not accepted in a host");
    } else if (ends_in_number(text, length - (text[length - 1] == '.'))) {
        r = literal_v4_parse(text, length, &host.address, ret_why);
    } else {
        r = name_parse(text, length - (text[length - 1] == '.'), &host, ret_why);
    }
    if (r < 0)
        return r;
    if (host.address.family != AF_UNSPEC)
        ip_address_format(&host.address, host.name);
    *ret = host;
    return 0;
}

/* Where the host of `host[:port]` ends: behind the bracket, or at the first colon. */
static size_t authority_host_length(const char *text, size_t length)
{
    const char *end = NULL;
    if (length > 0 && text[0] == '[') {
        end = memchr(text, ']', length);
        return end ? (size_t)(end - text) + 1 : length;
    }
    end = memchr(text, ':', length);
    return end ? (size_t)(end - text) : length;
}

int host_authority_parse(const char *text, size_t length, uint16_t default_port, struct host *ret,
                         uint16_t *ret_port, const char **ret_why)
{
    struct host host;
    uint16_t port = default_port;

    if (memchr(text, '@', length))
        return invalid(ret_why, "user information (\"user@\") is not accepted in a host");
    size_t host_length = authority_host_length(text, length);
    int r = host_parse(text, host_length, &host, ret_why);
    if (r < 0)
        return r;
    if (host_length == length) {
        if (default_port == 0)
            return invalid(ret_why, "the port is missing");
    } else if (text[host_length] != ':' ||
               host_port_parse(text + host_length + 1, length - host_length - 1, &port) < 0) {
        return invalid(ret_why, "the port is not a number from 1 to 65535");
    }
    *ret = host;
    *ret_port = port;
    return 0;
}

/* -- patterns -- */

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

    if (number_parse(text, digits, bits, &pattern->prefix_length) < 0)
        return invalid(ret_why, "the prefix length of the range is not a number that fits it "
                                "(0 to 32 for IPv4, 0 to 128 for IPv6)");
    if (colon && host_port_parse(colon + 1, length - digits - 1, &pattern->port) < 0)
        return invalid(ret_why, "the port is not a number from 1 to 65535");
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
static int range_parse(const char *text, const char *slash, struct host_pattern *pattern,
                       const char **ret_why)
{
    struct host host;
    if (slash > text && slash[-1] == ':' && slash[1] == '/')
        return invalid(ret_why, "write the host alone, without \"http://\" and without a slash");
    int r = host_parse(text, (size_t)(slash - text), &host, ret_why);
    if (r < 0)
        return r;
    if (host.address.family == AF_UNSPEC)
        return invalid(ret_why, "only an IP address can be followed by a slash; URLs and paths are "
                                "not accepted");
    r = pattern_from_host(&host, pattern, ret_why);
    if (r < 0)
        return r;
    return network_parse(slash + 1, strlen(slash + 1), pattern, ret_why);
}

static int single_parse(const char *text, struct host_pattern *pattern, const char **ret_why)
{
    struct host host;
    const char *first_colon = strchr(text, ':');
    bool subdomains = has_prefix(text, "*.");

    if (text[0] != '[' && first_colon && strchr(first_colon + 1, ':'))
        return invalid(ret_why, "an IPv6 address stands in brackets: [2001:db8::1]");
    if (!subdomains && strchr(text, '*'))
        return invalid(ret_why, "\"*\" can only stand for the subdomains of a name: *.example.com");
    if (subdomains)
        text += 2;
    size_t length = strlen(text);
    uint16_t port = 0;
    if (authority_host_length(text, length) == length)
        port = 1; /* stands for "none given": the parser below wants a default that is a port */
    int r = host_authority_parse(text, length, port, &host, &pattern->port, ret_why);
    if (r < 0)
        return r;
    if (port != 0)
        pattern->port = 0;
    if (subdomains && host.address.family != AF_UNSPEC)
        return invalid(ret_why, "an IP address has no subdomains");
    pattern->kind = subdomains ? HOST_PATTERN_SUBDOMAINS : HOST_PATTERN_NAME;
    return pattern_from_host(&host, pattern, ret_why);
}

int host_pattern_parse(const char *text, struct host_pattern *ret, const char **ret_why)
{
    struct host_pattern pattern = {0};
    const char *slash = strchr(text, '/');

    int r =
        slash ? range_parse(text, slash, &pattern, ret_why) : single_parse(text, &pattern, ret_why);
    if (r < 0)
        return r;
    *ret = pattern;
    return 0;
}

static bool port_matches(const struct host_pattern *pattern, uint16_t port)
{
    return pattern->port ? port == pattern->port : port == 80 || port == 443;
}

static bool is_subdomain(const char *name, const char *parent)
{
    size_t n = strlen(name);
    size_t p = strlen(parent);
    return n > p + 1 && name[n - p - 1] == '.' && streq(name + n - p, parent);
}

bool host_pattern_matches(const struct host_pattern *pattern, const struct host *host,
                          uint16_t port)
{
    bool literal = host->address.family != AF_UNSPEC;

    if (!port_matches(pattern, port))
        return false;
    switch (pattern->kind) {
    case HOST_PATTERN_NAME:
        return !literal && streq(host->name, pattern->name);
    case HOST_PATTERN_SUBDOMAINS:
        return !literal && is_subdomain(host->name, pattern->name);
    case HOST_PATTERN_NETWORK:
        return literal && !address_is_mapped(&host->address) &&
               address_in_network(&host->address, &pattern->network, pattern->prefix_length);
    }
    return false;
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
