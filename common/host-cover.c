/* Patterns as ceilings: whether one pattern lets through no more than another. */
#include <stdio.h>

#include "address-class.h"
#include "host-pattern.h"
#include "util.h"

int host_pattern_parse_ceiling(const char *text, struct host_pattern *ret, const char **ret_why)
{
    static const char any_name[] = "any"; /* stands for the "*" while the rest is parsed */
    char named[HOST_PATTERN_TEXT_MAX];
    struct host_pattern pattern;

    if (text[0] != '*' || (text[1] != '\0' && text[1] != ':' && text[1] != ';'))
        return host_pattern_parse(text, ret, ret_why);
    if (snprintf(named, sizeof(named), "%s%s", any_name, text + 1) >= (int)sizeof(named)) {
        *ret_why = "only \":\", a port and options can follow the \"*\"";
        return -EINVAL;
    }
    int r = host_pattern_parse(named, &pattern, ret_why);
    if (r < 0)
        return r;
    pattern.kind = HOST_PATTERN_ANY;
    pattern.any_port = pattern.port == 0;
    (void)snprintf(pattern.name, sizeof(pattern.name), "*");
    *ret = pattern;
    return 0;
}

/* No port is 80 and 443. */
static bool covers_ports(const struct host_pattern *ceiling, const struct host_pattern *entry)
{
    if (ceiling->any_port)
        return true;
    if (entry->any_port)
        return false;
    if (ceiling->port != 0 || entry->port == 0)
        return ceiling->port == entry->port;
    return entry->port == 80 || entry->port == 443;
}

static bool covers_name(const struct host_pattern *ceiling, const struct host_pattern *entry)
{
    bool same = streq(ceiling->name, entry->name);

    if (ceiling->kind == HOST_PATTERN_NAME)
        return entry->kind == HOST_PATTERN_NAME && same;
    return (entry->kind == HOST_PATTERN_SUBDOMAINS && same) ||
           host_name_is_below(entry->name, ceiling->name);
}

static bool is_literal(const struct host_pattern *pattern)
{
    return pattern->prefix_length == (pattern->network.family == AF_INET ? 32 : 128);
}

static bool covers_network(const struct host_pattern *ceiling, const struct host_pattern *entry)
{
    struct ip_address embedded[ADDRESS_EMBEDDED_MAX];
    unsigned block_length;

    if (entry->prefix_length < ceiling->prefix_length ||
        !address_in_network(&entry->network, &ceiling->network, ceiling->prefix_length))
        return false;
    if (is_literal(entry) && !is_literal(ceiling) &&
        address_embedded(&entry->network, embedded) > 0)
        return false;
    return !address_special_range(&entry->network, entry->prefix_length, &block_length) ||
           ceiling->prefix_length >= block_length;
}

bool host_pattern_covers(const struct host_pattern *ceiling, const struct host_pattern *entry)
{
    if (!covers_ports(ceiling, entry) || (entry->any_sni && !ceiling->any_sni))
        return false;
    if (ceiling->kind == HOST_PATTERN_ANY)
        return true;
    if (entry->kind == HOST_PATTERN_ANY ||
        (ceiling->kind == HOST_PATTERN_NETWORK) != (entry->kind == HOST_PATTERN_NETWORK))
        return false;
    return entry->kind == HOST_PATTERN_NETWORK ? covers_network(ceiling, entry)
                                               : covers_name(ceiling, entry);
}

bool host_pattern_names_meet(const struct host_pattern *a, const struct host_pattern *b)
{
    if (a->kind == HOST_PATTERN_NETWORK || b->kind == HOST_PATTERN_NETWORK)
        return false;
    return a->kind == HOST_PATTERN_ANY || b->kind == HOST_PATTERN_ANY || covers_name(a, b) ||
           covers_name(b, a);
}

bool host_pattern_is_special(const struct host_pattern *entry)
{
    unsigned block_length;

    if (entry->kind == HOST_PATTERN_NETWORK)
        return address_special_range(&entry->network, entry->prefix_length, &block_length) != NULL;
    return entry->kind == HOST_PATTERN_NAME && streq(entry->name, "localhost");
}
