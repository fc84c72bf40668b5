/* What a connection has recorded: for each request a decision, and for one that was allowed its
 * end. All of them are made here. */
#include <arpa/inet.h>
#include <stdio.h>

#include "clock.h"
#include "connection.h"

void connection_number_request(struct connection *c)
{
    if (c->request_id > 0)
        return;
    c->request_id = ++c->gate->n_requests;
    c->started = clock_usec(CLOCK_MONOTONIC);
}

/* The method is kept for the end: the head is gone by then. */
static void keep_method(struct connection *c)
{
    size_t n = MIN_OF(c->request.method.size, sizeof(c->method) - 1);

    if (connection_is_raw(c)) {
        (void)snprintf(c->method, sizeof(c->method), "tcp");
        return;
    }
    if (n > 0)
        memcpy(c->method, c->request.method.data, n);
    c->method[n] = '\0';
}

/* What decisions and ends have in common; `address` is room for its text. */
static struct network_record subject(const struct connection *c,
                                     char address[static INET6_ADDRSTRLEN])
{
    return (struct network_record){
        .request = c->request_id,
        .method = c->method,
        .host = c->request.host.name,
        .port = c->request.port,
        .address = ip_address_format(&c->address, address),
        .rule = c->rule ? c->rule->text : "",
        .count = 1,
    };
}

static bool put(struct connection *c, enum gate_verdict verdict, const char *reason,
                unsigned status)
{
    char address[INET6_ADDRSTRLEN];

    connection_number_request(c);
    keep_method(c);
    struct network_record record = subject(c, address);
    record.verdict = verdict;
    record.reason = reason;
    record.status = status;
    record.awaited = c->held_request > 0 && c->held_request == c->request_id;
    return recorder_put(&c->gate->recorder, &record) == 0;
}

bool connection_record_refused(struct connection *c, enum refusal refusal, unsigned status)
{
    c->recorded = true;
    bool done = put(c, GATE_REFUSED, refusal_code(refusal), status) &&
                recorder_flush(&c->gate->recorder) == 0;
    gate_update_listeners(c->gate);
    return done;
}

bool connection_record_held(struct connection *c)
{
    if (!put(c, GATE_HELD, "held", 0))
        return false;
    c->held_request = c->request_id;
    return true;
}

bool connection_record_allowed(struct connection *c)
{
    c->recorded = c->open = true;
    if (!put(c, GATE_ALLOWED, refusal_code(REFUSAL_NONE), 0))
        return false;
    if (!recorder_is_waiting(&c->gate->recorder))
        return true;
    connection_set_state(c, CONNECTION_RECORDING, 0);
    return false;
}

void connection_ended(struct connection *c, const char *code)
{
    char address[INET6_ADDRSTRLEN];
    /* Before that the flows are none, or those of the request before. */
    bool began = c->state == CONNECTION_EXCHANGE || c->state == CONNECTION_TUNNEL;

    if (!c->open)
        return;
    c->open = false;
    struct network_record record = subject(c, address);
    record.end = true;
    record.reason = code;
    record.bytes_up = began ? c->up.bytes : 0;
    record.bytes_down = began ? c->down.bytes - MIN_OF(c->down.bytes, c->own_bytes_down) : 0;
    record.duration_usec = clock_usec(CLOCK_MONOTONIC) - c->started;
    (void)recorder_put(&c->gate->recorder, &record); /* or the gate stops */
}

/* Those whose next request waited for the recorder as well. Going on can end that connection, but
 * no other. Records go out by themselves at a rate that is bounded (record-fold.h), so that looking
 * at all connections each time costs little. */
void connections_resume(struct gate *gate)
{
    struct connection *next;

    for (struct connection *c = gate->connections; c; c = next) {
        next = c->next;
        if (c->state == CONNECTION_RECORDING)
            tunnel_begin(c);
        else if (c->state == CONNECTION_READING_HEAD && !c->client.added)
            request_resume(c);
    }
}

void connections_block(struct gate *gate)
{
    for (struct connection *c = gate->connections; c; c = c->next) {
        if (c->state != CONNECTION_RECORDING)
            continue;
        event_source_remove(gate->loop, &c->client);
        event_source_remove(gate->loop, &c->server);
    }
}
