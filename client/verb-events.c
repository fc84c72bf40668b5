/* cagectl events: what happens from now on, a line for each event. */
#include <inttypes.h>
#include <stdio.h>

#include "agent.h"
#include "amount.h"
#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "options.h"
#include "output.h"
#include "owner.h"
#include "planted.h"
#include "remote-error.h"
#include "signals.h"
#include "text.h"

/* " CONNECT api.example:443"; several requests may have nothing of it in common. */
static void print_target(const char *method, const char *host, uint64_t port, uint64_t count)
{
    char target[512];

    target_format(host, port, count, target, sizeof(target));
    if (*method)
        (void)putchar(' ');
    text_print(stdout, method);
    (void)putchar(' ');
    text_print(stdout, target);
}

static void print_count(uint64_t count)
{
    struct amount text;

    if (count > 1)
        (void)printf(" (%s times)", amount_of_count(count, &text));
}

/* "refused CONNECT evil.example:443: host-not-allowed", "allowed GET api.example:80 by *.example".
 */
static int print_network(const json_t *event)
{
    const char *method = "?", *host = "?", *address = "", *rule = "", *code = "", *verdict = NULL;
    uint64_t port = 0, count = 1;
    bool allowed = false;

    if (field_bool_optional(event, "allowed", &allowed) < 0 ||
        field_string_optional(event, "verdict", &verdict) < 0 ||
        field_string_optional(event, "method", &method) < 0 ||
        field_string_optional(event, "host", &host) < 0 ||
        field_u64_optional(event, "port", &port) < 0 ||
        field_string_optional(event, "address", &address) < 0 ||
        field_string_optional(event, "rule", &rule) < 0 ||
        field_string_optional(event, "code", &code) < 0 ||
        field_u64_optional(event, "count", &count) < 0)
        return -EPROTO;
    if (!verdict)
        verdict = allowed ? "allowed" : "refused";
    text_print(stdout, verdict);
    print_target(method, host, port, count);
    if (*address) {
        (void)printf(" at ");
        text_print(stdout, address);
    }
    if (!streq(verdict, "held") && (allowed ? *rule : *code)) {
        (void)printf(allowed ? " by " : ": ");
        text_print(stdout, allowed ? rule : code);
    }
    print_count(count);
    return 0;
}

/* "done with CONNECT api.example:443: closed, 12 kB up, 3.0 MB down, 4.2 s". */
static int print_network_end(const json_t *event)
{
    const char *method, *host, *code;
    uint64_t port, count, up, down, duration;
    struct amount up_text, down_text, time_text;

    if (field_string(event, "method", &method) < 0 || field_string(event, "host", &host) < 0 ||
        field_string(event, "code", &code) < 0 || field_u64(event, "port", &port) < 0 ||
        field_u64(event, "count", &count) < 0 || field_u64(event, "bytes_up", &up) < 0 ||
        field_u64(event, "bytes_down", &down) < 0 ||
        field_u64(event, "duration_usec", &duration) < 0)
        return -EPROTO;
    (void)printf("done with");
    print_target(method, host, port, count);
    (void)printf(": ");
    text_print(stdout, code);
    (void)printf(", %s up, %s down, %s", amount_of_bytes(up, &up_text),
                 amount_of_bytes(down, &down_text), amount_of_time(duration, &time_text));
    print_count(count);
    return 0;
}

static int print_end(const json_t *event)
{
    const char *reason = "";
    uint64_t status = AGENT_NONE, signal = AGENT_NONE;
    char name[32];

    if (field_string_optional(event, "reason", &reason) < 0 ||
        field_u64_optional(event, "exit_status", &status) < 0 ||
        field_u64_optional(event, "signal", &signal) < 0)
        return -EPROTO;
    (void)printf("ended: ");
    text_print(stdout, reason);
    if (signal != AGENT_NONE && signal <= 127)
        (void)printf(", %s", signal_to_string((int)signal, name, sizeof(name)));
    else if (status != AGENT_NONE)
        (void)printf(", exit status %" PRIu64, status);
    return planted_print_count(event);
}

/* The strings of a list, each behind a sign; a list that is left out is empty. */
static int print_hosts(const json_t *event, const char *key, const char *sign, const char *after)
{
    const json_t *list = json_object_get(event, key);
    const json_t *item;
    size_t i;

    if (list && !json_is_array(list))
        return -EPROTO;
    json_array_foreach (list, i, item) {
        if (!json_is_string(item))
            return -EPROTO;
        (void)printf(" %s", sign);
        text_print(stdout, json_string_value(item));
        (void)printf("%s", after);
    }
    return 0;
}

/* "reloaded by uid 0: +github.com -evil.example +build.lan(private) +x.example(denied)" */
static int print_reload(const json_t *event)
{
    uint64_t by;

    if (field_u64(event, "by_uid", &by) < 0)
        return -EPROTO;
    (void)printf("reloaded by uid %" PRIu64 ":", by);
    if (print_hosts(event, "added", "+", "") < 0 || print_hosts(event, "removed", "-", "") < 0 ||
        print_hosts(event, "private_added", "+", "(private)") < 0 ||
        print_hosts(event, "private_removed", "-", "(private)") < 0 ||
        print_hosts(event, "denied_added", "+", "(denied)") < 0)
        return -EPROTO;
    return print_hosts(event, "denied_removed", "-", "(denied)");
}

static int event_print(const json_t *event)
{
    const char *id, *kind;
    uint64_t usec, owner_uid;
    char when[64], owner[64];
    int r = 0;

    if (!json_is_object(event) || field_string(event, "agent_id", &id) < 0 ||
        field_string(event, "kind", &kind) < 0 || field_u64(event, "time_usec", &usec) < 0 ||
        field_u64(event, "owner_uid", &owner_uid) < 0)
        return -EPROTO;
    time_format(usec, when, sizeof(when));
    (void)printf("%s ", when);
    if (owner_uid != geteuid()) {
        owner_format(owner_uid, owner, sizeof(owner));
        text_print(stdout, owner);
        (void)putchar('/');
    }
    text_print(stdout, id);
    (void)putchar(' ');
    if (streq(kind, "network"))
        r = print_network(event);
    else if (streq(kind, "network_ended"))
        r = print_network_end(event);
    else if (streq(kind, "ended"))
        r = print_end(event);
    else if (streq(kind, "reloaded"))
        r = print_reload(event);
    else
        text_print(stdout, kind);
    (void)putchar('\n');
    return r;
}

static int batch_print(const struct options *options, const json_t *parameters)
{
    json_t *events, *event;
    uint64_t lost;
    size_t i;

    if (field_array(parameters, "events", &events) < 0 || field_u64(parameters, "lost", &lost) < 0)
        return -EPROTO;
    if (lost > 0)
        say("at least %" PRIu64 " event%s lost here: you read too slowly", lost,
            lost == 1 ? "" : "s");
    json_array_foreach (events, i, event) {
        int r = option_given(options, OPTION_JSON) ? output_json_line(event) : event_print(event);
        if (r != 0)
            return r;
    }
    return output_flush();
}

/* STATUS_OK at the end of the events, an exit status, or -errno of the connection. */
static int events_follow(const struct options *options, struct connection *connection)
{
    json_t *parameters = options->n_arguments > 0
                             ? json_pack("{s:s}", "agent_id", options->arguments[0])
                             : json_object();
    int r = connection_send(connection, "io.caged.Events", parameters, true, NULL, 0);

    while (r == 0) {
        struct reply reply = {};
        r = connection_receive(connection, &reply);
        if (r < 0)
            break;
        bool last = !reply.continues;
        r = reply.error ? remote_error_say(&reply) : batch_print(options, reply.parameters);
        reply_deinit(&reply);
        if (last)
            break;
    }
    return r;
}

int verb_events(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    int status = connection_open_or_say(options->socket, &connection);

    if (status != STATUS_OK)
        return status;
    int r = events_follow(options, connection);
    return r < 0 ? connection_failed(connection, r) : r;
}
