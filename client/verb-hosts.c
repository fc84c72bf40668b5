/* cagectl hosts: what an agent may reach now, and where that comes from. */
#include <inttypes.h>
#include <stdio.h>

#include "exit-status.h"
#include "field.h"
#include "hosts.h"
#include "output.h"
#include "text.h"

static int list_width(const json_t *parameters, const char *key, size_t *width)
{
    json_t *list;
    const json_t *item;
    size_t i;

    if (field_array(parameters, key, &list) < 0)
        return -EPROTO;
    json_array_foreach (list, i, item) {
        if (!json_is_string(item))
            return -EPROTO;
        *width = MAX_OF(*width, json_string_length(item));
    }
    return 0;
}

static int print_entries(const json_t *parameters, const char *key, const char *what, size_t width)
{
    char entry[512];
    json_t *list, *live;
    const json_t *item;
    size_t i;

    if (field_array(parameters, key, &list) < 0 || field_array(parameters, "live", &live) < 0)
        return -EPROTO;
    json_array_foreach (list, i, item) {
        text_make_safe(json_string_value(item), entry, sizeof(entry));
        (void)printf("%-7s  %-*s  %s\n", what, (int)width, entry,
                     hosts_is_listed(live, json_string_value(item)) ? "live" : "card");
    }
    return 0;
}

static int hosts_print(const json_t *parameters)
{
    static const struct {
        const char *key, *what;
    } lists[] = {
        {"allowed_hosts", "allowed"}, {"private_hosts", "private"}, {"denied_hosts", "denied"}};
    size_t width = sizeof("HOST") - 1;
    uint64_t allowed, refused;
    json_t *held;
    int r = 0;

    if (field_array(parameters, "held", &held) < 0 ||
        field_u64(parameters, "requests_allowed", &allowed) < 0 ||
        field_u64(parameters, "requests_refused", &refused) < 0)
        return -EPROTO;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
        r = list_width(parameters, lists[i].key, &width);
    if (r < 0)
        return r;
    (void)printf("%-7s  %-*s  %s\n", "LIST", (int)width, "HOST", "FROM");
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
        r = print_entries(parameters, lists[i].key, lists[i].what, width);
    if (r == 0)
        r = hosts_print_held(held);
    if (r == 0)
        (void)printf("%" PRIu64 " request%s allowed, %" PRIu64 " refused\n", allowed,
                     allowed == 1 ? "" : "s", refused);
    return r;
}

int verb_hosts(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    int status = hosts_fetch(options, &connection, &reply);

    if (status != STATUS_OK)
        return status;
    if (option_given(options, OPTION_JSON)) {
        status = output_json(reply.parameters);
    } else {
        int r = hosts_print(reply.parameters);
        status = r < 0 ? connection_failed(connection, r) : output_flush();
    }
    reply_deinit(&reply);
    return status;
}
