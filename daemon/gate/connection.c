/* The life of a connection: states, events, refusals, ends. See connection.h for the states. */
#include "connection.h"

#include <sys/socket.h>

#include "net.h"

#define BIT(state) (1u << (state))

/* What may follow a state. */
static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [CONNECTION_READING_HEAD] = {"reading-head",
                                 BIT(CONNECTION_READING_HEAD) | BIT(CONNECTION_HELD) |
                                     BIT(CONNECTION_RESOLVING) | BIT(CONNECTION_DIALLING) |
                                     BIT(CONNECTION_RECORDING) | BIT(CONNECTION_EXCHANGE) |
                                     BIT(CONNECTION_DRAINING)},
    [CONNECTION_HELD] = {"held", BIT(CONNECTION_RESOLVING) | BIT(CONNECTION_DIALLING) |
                                     BIT(CONNECTION_READING_HEAD) | BIT(CONNECTION_DRAINING)},
    [CONNECTION_RESOLVING] = {"resolving", BIT(CONNECTION_DIALLING) | BIT(CONNECTION_READING_HEAD) |
                                               BIT(CONNECTION_DRAINING)},
    [CONNECTION_DIALLING] = {"dialling", BIT(CONNECTION_DIALLING) | BIT(CONNECTION_PARENT_HEAD) |
                                             BIT(CONNECTION_RECORDING) | BIT(CONNECTION_EXCHANGE) |
                                             BIT(CONNECTION_TUNNEL) | BIT(CONNECTION_READING_HEAD) |
                                             BIT(CONNECTION_DRAINING)},
    [CONNECTION_PARENT_HEAD] = {"parent-head", BIT(CONNECTION_RECORDING) | BIT(CONNECTION_TUNNEL) |
                                                   BIT(CONNECTION_DRAINING)},
    [CONNECTION_RECORDING] = {"recording", BIT(CONNECTION_DIALLING) | BIT(CONNECTION_EXCHANGE) |
                                               BIT(CONNECTION_TUNNEL) | BIT(CONNECTION_DRAINING)},
    [CONNECTION_EXCHANGE] = {"exchange", BIT(CONNECTION_READING_HEAD) | BIT(CONNECTION_TUNNEL) |
                                             BIT(CONNECTION_DRAINING)},
    [CONNECTION_TUNNEL] = {"tunnel", BIT(CONNECTION_DRAINING)},
    [CONNECTION_DRAINING] = {"draining", 0},
};
_Static_assert(ARRAY_SIZE(states) == CONNECTION_STATE_COUNT, "a state has no row");

const char *connection_state_to_string(enum connection_state state)
{
    return states[state].name;
}

int connection_state_from_string(const char *name, enum connection_state *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (streq(name, states[i].name)) {
            *ret = (enum connection_state)i;
            return 0;
        }
    return -EINVAL;
}

void connection_set_state(struct connection *c, enum connection_state state, unsigned timeout)
{
    if (!(states[c->state].next & BIT(state)))
        abort(); /* a bug, and one that might let something pass unchecked */
    c->gate->n_held += state == CONNECTION_HELD;
    c->gate->n_held -= c->state == CONNECTION_HELD;
    c->state = state;
    if (timeout > 0)
        timer_set(c->gate->loop, &c->timer, (uint64_t)timeout * 1000);
    else
        timer_clear(c->gate->loop, &c->timer);
}

void connection_established(struct connection *c)
{
    /* It is recorded already where a kept connection was found dead behind that. */
    if (c->open || connection_record_allowed(c))
        tunnel_begin(c);
}

/* -- ends -- */

void connection_drop_server(struct connection *c)
{
    event_source_forget(c->gate->loop, &c->server);
    c->server.fd = fd_close(c->server.fd);
    c->kept.is = false;
}

/* What waits to be written to the client still may be. */
static void release_server(struct connection *c)
{
    connection_ended(c, end_code_to_string(END_CLOSED));
    resolver_abandon(c->query);
    c->query = NULL;
    dial_race_end(c);
    connection_drop_server(c);
    relay_flow_deinit(&c->up);
    if (!relay_flow_wants_write(&c->down))
        relay_flow_deinit(&c->down);
}

void connection_close(struct connection *c)
{
    struct gate *gate = c->gate;

    release_server(c);
    relay_flow_deinit(&c->down);
    event_source_forget(gate->loop, &c->client);
    fd_close(c->client.fd);
    timer_clear(gate->loop, &c->timer);
    buffer_deinit(&c->head);
    buffer_deinit(&c->parent_head);
    dial_drop_addresses(c);
    http_answer_deinit(&c->answer);
    if (c->named)
        names_table_release(gate->names.table, c->named);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    gate->n_held -= c->state == CONNECTION_HELD;
    free(c);
    gate->n_connections--;
    gate_update_listeners(gate);
}

void connection_abort(struct connection *c)
{
    if (c->request_id > 0 && !c->recorded)
        (void)connection_record_refused(c, REFUSAL_CLIENT_GONE, 0);
    connection_ended(c, end_code_to_string(END_CLIENT_GONE));
    event_source_forget(c->gate->loop, &c->client);
    event_source_forget(c->gate->loop, &c->server);
    c->client.fd = net_reset(c->client.fd);
    c->server.fd = net_reset(c->server.fd);
    connection_close(c);
}

/* What still waits for the client goes first. */
static void drain_begin(struct connection *c)
{
    if (!relay_flow_wants_write(&c->down))
        (void)shutdown(c->client.fd, SHUT_WR);
    if (event_source_set(c->gate->loop, &c->client,
                         relay_flow_wants_write(&c->down) ? EPOLLOUT : EPOLLIN) < 0)
        connection_close(c);
}

void connection_drain(struct connection *c)
{
    release_server(c);
    connection_set_state(c, CONNECTION_DRAINING, GATE_CLOSE_TIMEOUT);
    drain_begin(c);
}

/* Closing a socket with unread bytes sends a reset, which can destroy the answer before the client
 * has read it: what it still sends is read and thrown away, for a while. */
static void drain_run(struct connection *c)
{
    char waste[4096];

    if (relay_flow_wants_write(&c->down)) {
        if (relay_flow_flush(&c->down) != 0)
            connection_close(c);
        else if (!relay_flow_wants_write(&c->down))
            drain_begin(c);
        return;
    }
    ssize_t n = recv(c->client.fd, waste, sizeof(waste), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        connection_close(c);
}

/* -- from one request to the next -- */

static void keep_server(struct connection *c)
{
    c->kept.is = true;
    c->kept.host = c->request.host;
    c->kept.port = c->request.port;
    c->kept.address = c->address;
    c->kept.via_parent = c->via_parent;
    /* Whatever it says now, it is not asked for. */
    if (event_source_set(c->gate->loop, &c->server, EPOLLIN) < 0)
        connection_drop_server(c);
}

static void forget_request(struct connection *c)
{
    http_answer_deinit(&c->answer);
    relay_flow_deinit(&c->up);
    if (!relay_flow_wants_write(&c->down))
        relay_flow_deinit(&c->down);
    buffer_drop(&c->head, c->head_size);
    c->head_scanned = c->head_size = 0;
    memset(&c->request, 0, sizeof(c->request));
    c->request_read = c->via_parent = c->recorded = c->on_kept = c->surplus = false;
    c->rule = NULL;
    c->request_id = c->own_bytes_down = 0;
    dial_drop_addresses(c);
    c->address.family = AF_UNSPEC;
    c->used = true;
}

void connection_next_request(struct connection *c, bool keep)
{
    connection_ended(c, end_code_to_string(END_CLOSED));
    resolver_abandon(c->query);
    c->query = NULL;
    dial_race_end(c);
    if (keep)
        keep_server(c);
    else
        connection_drop_server(c);
    forget_request(c);
    request_wait(c);
}

/* Whether what comes behind a refused request is another one without doubt. A client that is
 * refused a tunnel may have sent its first bytes already, and they need not be HTTP. */
static bool goes_on_after_refusal(const struct connection *c)
{
    return c->request_read && !c->request.connect && c->request.persistent &&
           c->request.body == HTTP_BODY_NONE && !*c->request.upgrade && !c->answer.final &&
           !c->answer.interim && c->state != CONNECTION_TUNNEL;
}

static int answer_refusal(struct connection *c, enum refusal refusal, const char *detail,
                          bool goes_on)
{
    char response[REFUSAL_RESPONSE_MAX];
    const struct refusal_context context = {
        .agent_id = c->gate->config->agent_id,
        .host = c->request.host.name,
        .port = c->request.port,
        .detail = detail,
        .rule = c->rule ? c->rule->text : "",
        .json = c->request.wants_json,
        .head_alone = streq(c->method, "HEAD"),
        .connection = !goes_on                        ? "close"
                      : c->request.version_minor == 0 ? "keep-alive"
                                                      : NULL,
    };
    size_t size = refusal_response(refusal, &context, response);

    relay_flow_deinit(&c->down);
    c->down.to = c->client.fd;
    return relay_flow_pass(&c->down, response, size);
}

void connection_refuse(struct connection *c, enum refusal refusal, const char *detail)
{
    unsigned status = connection_is_raw(c) ? 0 : refusal_status(refusal);
    bool heard = c->recorded || connection_record_refused(c, refusal, status);

    connection_ended(c, refusal_code(refusal));
    if (connection_is_raw(c) || !heard) { /* what is not HTTP has no other word than a reset */
        connection_abort(c);
        return;
    }
    bool goes_on = goes_on_after_refusal(c);
    if (answer_refusal(c, refusal, detail, goes_on) != 0)
        connection_abort(c);
    else if (goes_on)
        connection_next_request(c, false);
    else
        connection_drain(c);
}

int connection_want_server(struct connection *c)
{
    uint32_t events = (relay_flow_wants_read(&c->down) ? EPOLLIN : 0) |
                      (relay_flow_wants_write(&c->up) ? EPOLLOUT : 0);
    if (events)
        return event_source_set(c->gate->loop, &c->server, events);
    event_source_remove(c->gate->loop, &c->server);
    return 0;
}

/* -- events -- */

static void client_ready(struct event_source *source, uint32_t events)
{
    struct connection *c = CONTAINER_OF(source, struct connection, client);

    switch (c->state) {
    case CONNECTION_READING_HEAD:
        request_read(c);
        break;
    case CONNECTION_RECORDING: /* that is over in a moment, and then its end is found as well */
        break;
    case CONNECTION_EXCHANGE:
        exchange_client_ready(c, events);
        break;
    case CONNECTION_TUNNEL:
        tunnel_client_ready(c, events);
        break;
    case CONNECTION_DRAINING:
        drain_run(c);
        break;
    default: /* nothing is wanted from it now: only its death is heard */
        connection_abort(c);
    }
}

static void server_ready(struct event_source *source, uint32_t events)
{
    struct connection *c = CONTAINER_OF(source, struct connection, server);

    switch (c->state) {
    case CONNECTION_DIALLING:
        dial_finish_attempt(c);
        break;
    case CONNECTION_PARENT_HEAD:
        dial_read_parent_head(c);
        break;
    case CONNECTION_RECORDING: /* likewise */
        event_source_remove(c->gate->loop, &c->server);
        break;
    case CONNECTION_EXCHANGE:
        exchange_server_ready(c);
        break;
    case CONNECTION_TUNNEL:
        tunnel_server_ready(c, events);
        break;
    default: /* kept for a request that has not come: it ended, or says what nobody asked for */
        if (c->kept.is)
            connection_drop_server(c);
        else
            connection_abort(c);
    }
}

static void timer_expired(struct timer *timer)
{
    struct connection *c = CONTAINER_OF(timer, struct connection, timer);

    switch (c->state) {
    case CONNECTION_READING_HEAD:
        if (c->head.size > 0)
            connection_refuse(c, REFUSAL_HEAD_TIMEOUT, NULL);
        else
            connection_close(c); /* opened in advance and never used */
        break;
    case CONNECTION_HELD:
        connection_refuse(c, REFUSAL_ASK_TIMEOUT, NULL);
        break;
    case CONNECTION_RESOLVING:
        connection_refuse(c, c->via_parent ? REFUSAL_PARENT_FAILED : REFUSAL_DNS_TIMEOUT,
                          c->via_parent ? "the name of the parent proxy was not resolved in time"
                                        : NULL);
        break;
    case CONNECTION_DIALLING:
        dial_timer_expired(c);
        break;
    case CONNECTION_PARENT_HEAD:
        connection_refuse(c, REFUSAL_PARENT_FAILED, "it did not answer in time");
        break;
    case CONNECTION_TUNNEL:
        tunnel_hello_expired(c);
        break;
    default:
        connection_close(c);
    }
}

void connection_new(struct gate *gate, int fd, const struct listener *listener)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (!c) {
        net_reset(fd);
        return;
    }
    c->gate = gate;
    c->forward = listener->forward;
    c->transparent = listener->transparent;
    c->client = (struct event_source){.fd = fd, .ready = client_ready};
    c->server = (struct event_source){.fd = -EBADF, .ready = server_ready};
    c->timer.expired = timer_expired;
    relay_flow_deinit(&c->up);
    relay_flow_deinit(&c->down);
    c->link = &gate->connections;
    c->next = gate->connections;
    if (c->next)
        c->next->link = &c->next;
    gate->connections = c;
    gate->n_connections++;

    if (event_source_set(gate->loop, &c->client, connection_is_raw(c) ? 0 : EPOLLIN) < 0)
        connection_abort(c);
    else if (gate->n_connections > GATE_CONNECTIONS_MAX)
        connection_refuse(c, REFUSAL_TOO_MANY_CONNECTIONS, NULL);
    else if (c->forward)
        request_forward_begin(c);
    else if (c->transparent)
        request_transparent_begin(c);
    else
        timer_set(gate->loop, &c->timer, (uint64_t)GATE_HEAD_TIMEOUT * 1000);
}

void connections_close_all(struct gate *gate)
{
    while (gate->connections) {
        connection_ended(gate->connections, end_code_to_string(END_GATE_ENDED));
        connection_abort(gate->connections);
    }
}
