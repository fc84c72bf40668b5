/* What passes whole: a CONNECT tunnel, a forward, and what a plain http request was upgraded to. */
#include "connection.h"
#include "net.h"

static const char established_answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";

static int want_client(struct connection *c)
{
    uint32_t events = (relay_flow_wants_read(&c->up) ? EPOLLIN : 0) |
                      (relay_flow_wants_write(&c->down) ? EPOLLOUT : 0);
    return event_source_set(c->gate->loop, &c->client, events ? events : CONNECTION_DEATH_ALONE);
}

/* What came of moving the upward flow. False: the connection is gone. */
static bool moved_up(struct connection *c, int r)
{
    switch (r) {
    case 0:
        return true;
    case RELAY_WRITE_FAILED:
        /* The server does not listen any more. It may have answered before that ("too large"), so
         * its last words are still passed on. */
        c->down.broken = c->up.reset;
        relay_flow_abandon(&c->up);
        return true;
    case RELAY_BAD_HELLO:
        tunnel_hello_refuse(c);
        return false;
    }
    connection_abort(c);
    return false;
}

/* A cut stream ends as one: with a reset. */
static bool moved_down(struct connection *c, int r)
{
    if (r == 0)
        return true;
    if (r == RELAY_READ_FAILED)
        connection_ended(c, end_code_to_string(END_SERVER_GONE));
    connection_abort(c);
    return false;
}

static void settle(struct connection *c)
{
    if (c->down.shut && c->up.shut) {
        connection_close(c);
        return;
    }
    tunnel_hello_watch(c);
    if (want_client(c) < 0 || connection_want_server(c) < 0)
        connection_abort(c);
}

/* Nothing is read yet: whether there is something, epoll says. */
static void begin(struct connection *c)
{
    if (moved_up(c, relay_flow_flush(&c->up)) && moved_down(c, relay_flow_flush(&c->down)))
        settle(c);
}

static void run(struct connection *c, bool up, bool down)
{
    c->up.last = c->down.shut;
    if (up && !moved_up(c, relay_flow_run(&c->up)))
        return;
    c->down.last = c->up.shut;
    if (down && !moved_down(c, relay_flow_run(&c->down)))
        return;
    settle(c);
}

/* What a parent proxy sent behind its answer is the server's. */
static int push_parents_bytes(struct connection *c)
{
    if (c->parent_head_size == 0)
        return 0;
    return relay_flow_push(&c->down, c->parent_head.data + c->parent_head_size,
                           c->parent_head.size - c->parent_head_size);
}

/* What came behind the head already. */
static int push_early(struct connection *c)
{
    return relay_flow_offer(&c->up, c->head.data + c->head_size, c->head.size - c->head_size);
}

static int push_first_bytes(struct connection *c)
{
    int r = tunnel_hello_begin(c);

    if (r == 0 && !connection_is_raw(c)) {
        c->own_bytes_down = sizeof(established_answer) - 1;
        r = relay_flow_push(&c->down, established_answer, sizeof(established_answer) - 1);
    }
    if (r == 0)
        r = push_parents_bytes(c);
    return r < 0 || connection_is_raw(c) ? r : push_early(c);
}

void tunnel_begin(struct connection *c)
{
    dial_drop_addresses(c);
    if (!connection_is_raw(c) && !c->request.connect) {
        exchange_begin(c);
        return;
    }
    c->up = (struct relay_flow){.from = c->client.fd, .to = c->server.fd};
    c->down = (struct relay_flow){.from = c->server.fd, .to = c->client.fd};
    connection_set_state(c, CONNECTION_TUNNEL, 0);
    int r = push_first_bytes(c);
    c->request.method = c->request.path = c->request.headers = (struct span){0};
    if (c->request.connect) /* it may have a second record */
        c->request.method = (struct span){"CONNECT", strlen("CONNECT")};
    buffer_deinit(&c->head);
    buffer_deinit(&c->parent_head);
    if (r == -EBADMSG)
        tunnel_hello_refuse(c);
    else if (r < 0)
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
    else
        begin(c);
}

/* What the client said already, without waiting for the answer, is not HTTP any more. If it was
 * all, or the server takes nothing more, the flow upward is over as it is. */
void tunnel_upgrade(struct connection *c)
{
    int r = 0;

    connection_set_state(c, CONNECTION_TUNNEL, 0);
    c->up.filter = NULL;
    if (c->up.whole) {
        c->up.whole = c->up.shut = false;
        c->up.ended = c->client_ended;
        r = relay_flow_push(&c->up, c->head.data, c->head.size);
    }
    buffer_deinit(&c->head);
    if (r < 0)
        connection_abort(c);
    else
        run(c, true, true);
}

/* What can be read moves its own direction, room for more the other one, and a fault both. */
void tunnel_client_ready(struct connection *c, uint32_t events)
{
    if (c->client.events == CONNECTION_DEATH_ALONE && net_error(c->client.fd) < 0)
        connection_abort(c);
    else
        run(c, events & ~(uint32_t)EPOLLOUT, events & ~(uint32_t)EPOLLIN);
}

void tunnel_server_ready(struct connection *c, uint32_t events)
{
    run(c, events & ~(uint32_t)EPOLLIN, events & ~(uint32_t)EPOLLOUT);
}
