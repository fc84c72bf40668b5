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
        char left[32], target[512];
        if (!json_is_object(item) || field_string(item, "host", &host) < 0 ||
            field_u64(item, "port", &port) < 0 || field_u64(item, "count", &count) < 0 ||
            field_u64(item, "deadline_usec", &deadline) < 0)
            return -EPROTO;
        duration_format(deadline > now ? (deadline - now) / 1000000 : 0, left, sizeof(left));
        (void)printf("waits    ");
        target_format(host, port, count, target, sizeof(target));
        text_print(stdout, target);
        (void)printf("  %s left, %" PRIu64 " request%s\n", left, count, count == 1 ? "" : "s");
    }
    return 0;
}

/* One line for each string of a list of the reply. */
static int print_list(const json_t *parameters, const char *key, const char *before,
                      const char *after, size_t *count)
{
    json_t *list, *item;
    size_t i;

    if (field_array(parameters, key, &list) < 0)
        return -EPROTO;
    json_array_foreach (list, i, item) {
        if (!json_is_string(item))
            return -EPROTO;
        (void)printf("  %s ", before);
        text_print(stdout, json_string_value(item));
        (void)printf("%s\n", after);
    }
    *count += json_array_size(list);
    return 0;
}

int hosts_print_change(const json_t *parameters, size_t *count)
{
    static const struct {
        const char *key, *sign, *after;
        bool optional; /* ChangeHosts has none */
    } lists[] = {
        {"added", "+", "", false},
        {"removed", "-", "", false},
        {"private_added", "+", " (private)", true},
        {"private_removed", "-", " (private)", true},
        {"denied_added", "+", " (denied)", false},
        {"denied_removed", "-", " (denied)", false},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
        if (!lists[i].optional || json_object_get(parameters, lists[i].key))
            r = print_list(parameters, lists[i].key, lists[i].sign, lists[i].after, count);
    return r;
}

int hosts_print_ignored(const json_t *parameters, size_t *count)
{
    return print_list(parameters, "ignored", "needs a restart:", "", count);
}

bool hosts_is_listed(const json_t *list, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (json_is_string(item) && streq(json_string_value(item), text))
            return true;
    return false;
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
