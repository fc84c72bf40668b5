/* Any text as a pattern and as a host: no crash, and the promises of common/host-pattern.h hold:
 * canonical forms are stable, a name matches itself, an address never matches a name, every port is
 * what ":*" says and nothing else does. */
#include "address-class.h"
#include "fuzz.h"
#include "host-pattern.h"
#include "util.h"

static void check_host(const struct host *host)
{
    struct host again;
    const char *why;
    size_t length = strlen(host->name);

    require(length > 0 && length <= HOST_NAME_MAX_LENGTH);
    require(host_parse(host->name, length, &again, &why) == 0);
    require(streq(again.name, host->name));
    require(again.address.family == host->address.family);
}

/* The canonical text stands for the same pattern, options too, and is its own canonical text. */
static void check_text(const struct host_pattern *pattern)
{
    char text[HOST_PATTERN_TEXT_MAX], again[HOST_PATTERN_TEXT_MAX];
    struct host_pattern parsed;
    const char *why;

    host_pattern_format(pattern, text);
    require(host_pattern_parse(text, &parsed, &why) == 0);
    require(host_pattern_is_same(pattern, &parsed));
    require(pattern->any_sni == parsed.any_sni);
    require(streq(host_pattern_format(&parsed, again), text));
    require(!strpbrk(text, " ,\n\r\t"));
    require(!(pattern->any_port && pattern->port != 0));
    require(host_pattern_has_options(pattern) == (strchr(text, ';') != NULL));
}

static void check_ports(const struct host_pattern *pattern, const struct host *host, bool match)
{
    uint16_t other = pattern->port == 444 ? 445 : 444;

    require(host_pattern_matches(pattern, host, other) == (match && pattern->any_port));
    require(!host_pattern_matches(pattern, host, 0));
}

/* What an entry would allow or list, it denies; and an address that it denies, it denies in the
 * clothes of IPv6 as well. */
static void check_denial(const struct host_pattern *pattern, const struct host *host, uint16_t port)
{
    bool literal = host->address.family != AF_UNSPEC;
    bool denies = host_pattern_denies(pattern, host, port);

    require(denies || !host_pattern_matches(pattern, host, port));
    require(host_pattern_denies(pattern, host, 65535) || pattern->port != 0 ||
            !denies); /* no port is every port */
    if (!literal)
        return;
    require(denies == host_pattern_denies_address(pattern, &host->address, port));
    require(denies || !host_pattern_lists_address(pattern, &host->address, port));
    if (host->address.family == AF_INET && denies) {
        struct ip_address mapped = {.family = AF_INET6, .v6.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(&mapped.v6.s6_addr[12], &host->address.v4, 4);
        require(host_pattern_denies_address(pattern, &mapped, port));
    }
}

static void check_pattern(const struct host_pattern *pattern, const struct host *host)
{
    bool name = host->address.family == AF_UNSPEC;
    uint16_t port = pattern->port ? pattern->port : 443;
    bool match = host_pattern_matches(pattern, host, port);

    require(!match || name == (pattern->kind != HOST_PATTERN_NETWORK));
    check_ports(pattern, host, match);
    check_denial(pattern, host, port);
    if (pattern->kind == HOST_PATTERN_NAME)
        require(match == (name && streq(host->name, pattern->name)));
    if (!name && address_is_mapped(&host->address))
        require(!match && !host_pattern_lists_address(pattern, &host->address, port));
    if (!name && pattern->kind == HOST_PATTERN_NETWORK && !match)
        require(!host_pattern_lists_address(pattern, &host->address, port));
}

/* The input is a pattern, a NUL, and a host or authority. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    size_t pattern_size = nul ? (size_t)(nul - data) : size;
    AUTO_FREE char *pattern_text = strndup((const char *)data, pattern_size);
    const char *rest = (const char *)(nul ? nul + 1 : data);
    size_t rest_size = nul ? size - pattern_size - 1 : size;
    struct host_pattern pattern;
    struct host host;
    const char *why = NULL;
    uint16_t port = 0;

    if (!pattern_text)
        return 0;
    int p = host_pattern_parse(pattern_text, &pattern, &why);
    require(p == 0 || (p == -EINVAL && why));
    if (p == 0)
        check_text(&pattern);
    int h = host_parse(rest, rest_size, &host, &why);
    if (h == 0) {
        check_host(&host);
        if (p == 0)
            check_pattern(&pattern, &host);
    }
    if (host_authority_parse(rest, rest_size, 0, &host, &port, &why) == 0) {
        check_host(&host);
        require(port > 0);
    }
    return 0;
}
