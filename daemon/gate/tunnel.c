/* The relayed part of a connection. A CONNECT tunnel and a forward pass every byte both ways; a
 * plain http request passes its rewritten head and its body as framed, and the answer with its
 * heads rewritten. */
#include "connection.h"
#include "net.h"

static const char established_answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";

static bool is_plain_http(const struct connection *c)
{
    return !connection_is_raw(c) && !c->request.connect;
}

/* The head for the server, as the first bytes of the upward flow. */
static int push_head(struct connection *c)
{
    const char *authorization = c->via_parent ? c->gate->config->parent_authorization : NULL;
    size_t size = c->head_size + HTTP_REWRITE_EXTRA + (authorization ? strlen(authorization) : 0);
    AUTO_FREE char *head = malloc(size);

    if (!head)
        return -ENOMEM;
    ssize_t n =
        http_request_write(&c->request, c->via_parent ? HTTP_FORM_ABSOLUTE : HTTP_FORM_ORIGIN,
                           authorization, head, size);
    return n < 0 ? (int)n : relay_flow_push(&c->up, head, (size_t)n);
}

/* What came behind the head already: of a plain request only what is its body. */
static int push_early(struct connection *c)
{
    const char *early = c->head.data + c->head_size;
    size_t size = c->head.size - c->head_size;

    if (c->up.framing) {
        ssize_t used = http_body_consume(c->up.framing, early, size);
        if (used < 0)
            return (int)used;
        if ((size_t)used < size)
            c->up.ended = true;
        size = (size_t)used;
    }
    return relay_flow_offer(&c->up, early, size);
}

/* What a parent proxy sent behind its answer is the server's. */
static int push_parents_bytes(struct connection *c)
{
    if (c->parent_head_size == 0)
        return 0;
    return relay_flow_push(&c->down, c->parent_head.data + c->parent_head_size,
                           c->parent_head.size - c->parent_head_size);
}

static int push_first_bytes(struct connection *c)
{
    int r;

    if (connection_is_raw(c)) {
        r = tunnel_hello_begin(c);
        return r < 0 ? r : push_parents_bytes(c);
    }
    if (is_plain_http(c)) {
        http_body_init(&c->body, &c->request);
        c->up.framing = &c->body;
        c->down.answer = &c->answer;
        r = push_head(c);
    } else {
        c->own_bytes_down = sizeof(established_answer) - 1;
        r = tunnel_hello_begin(c);
        if (r == 0)
            r = relay_flow_push(&c->down, established_answer, sizeof(established_answer) - 1);
        if (r == 0)
            r = push_parents_bytes(c);
    }
    return r < 0 ? r : push_early(c);
}

void tunnel_begin(struct connection *c)
{
    c->up = (struct relay_flow){.from = c->client.fd, .to = c->server.fd};
    c->down = (struct relay_flow){.from = c->server.fd, .to = c->client.fd};
    connection_set_state(c, CONNECTION_TUNNEL, 0);
    int r = push_first_bytes(c);
    c->request.method = c->request.path = c->request.headers = (struct span){0};
    if (c->request.connect) /* it may have a second record */
        c->request.method = (struct span){"CONNECT", strlen("CONNECT")};
    buffer_deinit(&c->head);
    buffer_deinit(&c->parent_head);
    if (r == -EBADMSG && c->up.hello)
        tunnel_hello_refuse(c);
    else if (r == -EBADMSG)
        connection_refuse(c, REFUSAL_BAD_REQUEST, "the chunked body is broken");
    else if (r < 0)
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
    else
        tunnel_run(c);
}

/* From a server nothing may be wanted for a while; it leaves epoll then, since what it said last is
 * still to be passed on before its end counts. */
static int want_server(struct connection *c)
{
    uint32_t events = (relay_flow_wants_read(&c->down) ? EPOLLIN : 0) |
                      (relay_flow_wants_write(&c->up) ? EPOLLOUT : 0);
    if (events)
        return event_source_set(c->gate->loop, &c->server, events);
    event_source_remove(c->gate->loop, &c->server);
    return 0;
}

/* All that is wanted of a client while its server takes nothing and says nothing: without it, each
 * client that gave up on such a server would stay. Edge-triggered, because a socket with both ends
 * shut reports EPOLLHUP for ever. */
#define DEATH_ALONE ((uint32_t)EPOLLET)

static int want_client(struct connection *c)
{
    uint32_t events = (relay_flow_wants_read(&c->up) ? EPOLLIN : 0) |
                      (relay_flow_wants_write(&c->down) ? EPOLLOUT : 0);
    return event_source_set(c->gate->loop, &c->client, events ? events : DEATH_ALONE);
}

void tunnel_client_ready(struct connection *c)
{
    if (c->client.events == DEATH_ALONE && net_error(c->client.fd) < 0)
        connection_abort(c);
    else
        tunnel_run(c);
}

static bool run_up(struct connection *c)
{
    switch (relay_flow_run(&c->up)) {
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
    case RELAY_BAD_BODY:
        if (c->down.bytes == 0 && !c->down.pending) {
            connection_refuse(c, REFUSAL_BAD_REQUEST, "the chunked body is broken");
            return false;
        }
        connection_ended(c, refusal_code(REFUSAL_BAD_REQUEST));
        break;
    }
    connection_abort(c);
    return false;
}

static bool run_down(struct connection *c)
{
    int r = relay_flow_run(&c->down);

    if (r == RELAY_BAD_ANSWER && !c->down.pending) {
        connection_refuse(c, REFUSAL_BAD_ANSWER, c->down.why);
        return false;
    }
    if (r == RELAY_BAD_ANSWER)
        connection_ended(c, refusal_code(REFUSAL_BAD_ANSWER));
    if (r == RELAY_READ_FAILED)
        connection_ended(c, end_code_to_string(END_SERVER_GONE));
    if (r == RELAY_READ_FAILED && is_plain_http(c)) {
        /* Heads and chunks tell the client whether its answer is whole; a reset could take away
         * the part that it has not read yet. */
        connection_drain(c);
        return false;
    }
    if (r != 0) {
        connection_abort(c); /* a cut stream ends as one: with a reset */
        return false;
    }
    return true;
}

void tunnel_run(struct connection *c)
{
    if (!run_up(c) || !run_down(c))
        return;
    if (c->down.shut && is_plain_http(c)) {
        connection_drain(c);
        return;
    }
    if (c->down.shut && c->up.shut) {
        connection_close(c);
        return;
    }
    tunnel_hello_watch(c);
    if (want_client(c) < 0 || want_server(c) < 0)
        connection_abort(c);
}
