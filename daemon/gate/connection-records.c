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

    if (c->forward) {
        (void)snprintf(c->method, sizeof(c->method), "tcp");
        return;
    }
    if (n > 0)
        memcpy(c->method, c->request.method.data, n);
    c->method[n] = '\0';
}

static bool put(struct connection *c, enum refusal refusal, unsigned status)
{
    char address[INET6_ADDRSTRLEN];

    connection_number_request(c);
    keep_method(c);
    const struct decision decision = {
        .refusal = refusal,
        .method = c->method,
        .host = c->request.host.name,
        .port = c->request.port,
        .address = ip_address_format(&c->address, address),
        .rule = c->rule ? c->rule->text : "",
        .status = status,
    };
    c->recorded = true;
    bool done = recorder_put(&c->gate->recorder, &decision) == 0;
    gate_update_listeners(c->gate);
    return done;
}

bool connection_record_refused(struct connection *c, enum refusal refusal, unsigned status)
{
    return put(c, refusal, status);
}

bool connection_record_allowed(struct connection *c)
{
    c->open = true;
    if (!put(c, REFUSAL_NONE, 0))
        return false;
    if (!recorder_is_blocked(&c->gate->recorder))
        return true;
    event_source_remove(c->gate->loop, &c->client);
    event_source_remove(c->gate->loop, &c->server);
    connection_set_state(c, CONNECTION_RECORDING, 0);
    return false;
}

/* c->up.bytes and c->down.bytes are what was passed, c->started is when it began. */
void connection_ended(struct connection *c, const char *code)
{
    if (!c->open)
        return;
    c->open = false;
}

/* A connection whose next request waited for the recorder, too. Going on can end that connection,
 * but no other. */
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
