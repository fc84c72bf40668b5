/* The hosts of an agent as the daemon tells of them. */
#include "hosts.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "exit-status.h"
#include "field.h"
#include "host-pattern.h"
#include "target.h"
#include "text.h"

int hosts_fetch(const struct options *options, struct connection **ret_connection,
                struct reply *ret)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct agent_name name;
    int status = target_from_options(options, options->arguments[0], &name);

    if (status == STATUS_OK)
        status = connection_open_or_say(options->socket, &connection);
    if (status == STATUS_OK)
        status = connection_call(connection, "io.caged.Hosts", agent_name_to_json(&name), ret);
    if (status == STATUS_OK)
        *ret_connection = TAKE_PTR(connection);
    return status;
}

int hosts_print_held(const json_t *held)
{
    uint64_t now = clock_usec(CLOCK_REALTIME);
    const json_t *item;
    size_t i;

    json_array_foreach (held, i, item) {
        uint64_t port, deadline, count;
        const char *host;
        char left[32];
        if (!json_is_object(item) || field_string(item, "host", &host) < 0 ||
            field_u64(item, "port", &port) < 0 || field_u64(item, "count", &count) < 0 ||
            field_u64(item, "deadline_usec", &deadline) < 0)
            return -EPROTO;
        duration_format(deadline > now ? (deadline - now) / 1000000 : 0, left, sizeof(left));
        (void)printf("waits    ");
        if (strchr(host, ':'))
            (void)putchar('[');
        text_print(stdout, host);
        (void)printf(strchr(host, ':') ? "]:%" PRIu64 : ":%" PRIu64, port);
        (void)printf("  %s left, %" PRIu64 " request%s\n", left, count, count == 1 ? "" : "s");
    }
    return 0;
}

/* The one host that an entry names; false for a whole range of them. */
static bool host_of(const struct host_pattern *pattern, struct host *ret)
{
    unsigned bits = pattern->network.family == AF_INET ? 32 : 128;
    char text[INET6_ADDRSTRLEN];
    const char *name = pattern->name, *why;

    if (pattern->kind == HOST_PATTERN_SUBDOMAINS)
        return false;
    if (pattern->kind == HOST_PATTERN_NETWORK && pattern->prefix_length != bits)
        return false;
    if (pattern->kind == HOST_PATTERN_NETWORK)
        name = ip_address_format(&pattern->network, text);
    return host_parse(name, strlen(name), ret, &why) == 0;
}

bool hosts_entry_covers(const char *denied, const char *entry)
{
    struct host_pattern denying, allowing;
    struct host host;
    const char *why;

    if (host_pattern_parse(denied, &denying, &why) < 0 ||
        host_pattern_parse(entry, &allowing, &why) < 0 || !host_of(&allowing, &host))
        return false;
    if (allowing.port != 0)
        return host_pattern_denies(&denying, &host, allowing.port);
    return host_pattern_denies(&denying, &host, 80) || host_pattern_denies(&denying, &host, 443);
}
