/* One plain http request and its answer: the request's head as it was written anew and its body as
 * framed; the answer's heads written anew, and its body up to where it ends beyond doubt. Each byte
 * passes as it comes. Behind a whole exchange the client's connection is back where it began, and
 * the server's is kept. */
#include <sys/socket.h>

#include "connection.h"
#include "net.h"

#define AUTHORIZATION_MAX 4096 /* of a parent proxy */

/* Of the whole process: nothing stays in it. */
static union {
    char request[GATE_HEAD_SIZE_MAX + HTTP_REWRITE_EXTRA + AUTHORIZATION_MAX + GATE_BUFFER_SIZE];
    char answer[HTTP_ANSWER_HEAD_MAX + GATE_BUFFER_SIZE];
} out;

/* -- what passes -- */

/* Up: not a byte behind the end of the body passes; it may begin the next request. */
static int pass_body(struct relay_flow *up, const char *data, size_t size)
{
    struct connection *c = up->userdata;

    if (size == 0) {
        c->client_ended = true;
        return 0;
    }
    ssize_t used = http_body_consume(&c->body, data, size);
    if (used < 0)
        return RELAY_BAD_BODY;
    up->ended = up->whole = http_body_ended(&c->body);
    if (buffer_append(&c->head, data + used, size - (size_t)used) < 0)
        return RELAY_WRITE_FAILED;
    return relay_flow_pass(up, data, (size_t)used);
}

/* Down, behind the final head. */
static int pass_content(struct relay_flow *down, const char *data, size_t size)
{
    struct connection *c = down->userdata;

    if (size == 0)
        return 0; /* too early, unless the body has no other end */
    ssize_t used = http_body_consume(&c->answer.body, data, size);
    if (used < 0)
        return RELAY_BAD_BODY;
    down->ended = down->whole = http_body_ended(&c->answer.body);
    c->surplus = (size_t)used < size;
    return relay_flow_pass(down, data, (size_t)used);
}

/* The first of the body goes along with its head. */
static int pass_final(struct relay_flow *down, size_t head_size, const char *data, size_t size)
{
    struct connection *c = down->userdata;
    ssize_t used = http_body_consume(&c->answer.body, data, size);

    if (used < 0) {
        down->why = "the chunked body of its answer is broken";
        return RELAY_BAD_ANSWER;
    }
    down->ended = down->whole = http_body_ended(&c->answer.body);
    down->filter = c->answer.kind == HTTP_BODY_UNTIL_CLOSE ? NULL : pass_content;
    c->surplus = (size_t)used < size;
    if (used > 0)
        memcpy(out.answer + head_size, data, (size_t)used);
    return relay_flow_pass(down, out.answer, head_size + (size_t)used);
}

/* A 101 that was asked for: from here on it is a tunnel. */
static int pass_upgrade(struct relay_flow *down, size_t head_size, const char *data, size_t size)
{
    int r = relay_flow_pass(down, out.answer, head_size);

    down->filter = NULL;
    return r ? r : relay_flow_pass(down, data, size);
}

/* A parent that wants another user says so to who configured one. The agent knows no proxy but the
 * gate, and could do nothing about it. */
static bool is_for_the_gate(const struct connection *c)
{
    return c->via_parent && c->answer.final && c->answer.status == 407;
}

/* Down, up to the final head. */
static int pass_answer(struct relay_flow *down, const char *data, size_t size)
{
    struct connection *c = down->userdata;
    size_t used;

    if (size == 0) {
        down->why = "it closed the connection without a whole answer";
        return RELAY_BAD_ANSWER;
    }
    c->answer.may_persist = c->request.persistent && http_body_ended(&c->body);
    while (size > 0) {
        ssize_t n = http_answer_take(&c->answer, data, size, out.answer, &used, &down->why);
        if (n < 0)
            return n == -EBADMSG ? RELAY_BAD_ANSWER : RELAY_WRITE_FAILED;
        data += used;
        size -= used;
        if (is_for_the_gate(c))
            return RELAY_BAD_ANSWER;
        if (c->answer.final && c->answer.status == 101)
            return pass_upgrade(down, (size_t)n, data, size);
        if (c->answer.final)
            return pass_final(down, (size_t)n, data, size);
        int r = relay_flow_pass(down, out.answer, (size_t)n);
        if (r != 0)
            return r;
    }
    return 0;
}

/* -- the beginning -- */

/* Whether a kept connection is still there and has said nothing. */
static bool server_is_quiet(const struct connection *c)
{
    char byte;
    return recv(c->server.fd, &byte, 1, MSG_PEEK) < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Nothing was sent yet: the same address is tried again. */
static void dial_again(struct connection *c)
{
    c->on_kept = false;
    connection_drop_server(c);
    if (event_source_set(c->gate->loop, &c->client, 0) < 0) {
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return;
    }
    if (dial_set_addresses(c, &c->address, 1))
        dial_begin(c);
}

/* The head in `out`; its size or -errno. */
static ssize_t write_head(struct connection *c)
{
    const char *authorization = c->via_parent ? c->gate->config->parent_authorization : NULL;

    return http_request_write(&c->request, c->via_parent ? HTTP_FORM_ABSOLUTE : HTTP_FORM_ORIGIN,
                              authorization, out.request, sizeof(out.request) - GATE_BUFFER_SIZE);
}

/* The head, and of what came along with it what is its body. The rest is the next request's.
 * -EBADMSG: the body is broken. */
static int send_request(struct connection *c)
{
    const char *early = c->head.data + c->head_size;
    ssize_t size = write_head(c);
    ssize_t body = http_body_consume(&c->body, early, c->head.size - c->head_size);

    if (size < 0 || body < 0)
        return (int)(size < 0 ? size : body);
    bool together = body <= GATE_BUFFER_SIZE;
    if (together)
        memcpy(out.request + size, early, (size_t)body);
    int r = relay_flow_pass(&c->up, out.request, (size_t)(together ? size + body : size));
    if (r == 0 && !together)
        r = relay_flow_pass(&c->up, early, (size_t)body);
    if (r != 0) { /* its last words may still be an answer */
        c->down.broken = c->up.reset;
        relay_flow_abandon(&c->up);
    }
    buffer_drop(&c->head, c->head_size + (size_t)body);
    c->head_size = c->head_scanned = 0;
    c->request.method = c->request.path = c->request.headers = (struct span){0};
    memset(&c->request.hop, 0, sizeof(c->request.hop));
    return 0;
}

static int want_client(struct connection *c)
{
    uint32_t events = relay_flow_wants_write(&c->down) ? EPOLLOUT : 0;
    bool more = c->up.whole && !c->client_ended && c->head.size < GATE_HEAD_SIZE_MAX;

    if (relay_flow_wants_read(&c->up) || more)
        events |= EPOLLIN;
    return event_source_set(c->gate->loop, &c->client, events ? events : CONNECTION_DEATH_ALONE);
}

static void want(struct connection *c)
{
    if (want_client(c) < 0 || connection_want_server(c) < 0)
        connection_abort(c);
}

void exchange_begin(struct connection *c)
{
    if (c->on_kept && !server_is_quiet(c)) {
        dial_again(c);
        return;
    }
    connection_set_state(c, CONNECTION_EXCHANGE, 0);
    http_body_init(&c->body, c->request.body, c->request.content_length);
    http_answer_init(&c->answer, &c->request);
    c->up = (struct relay_flow){
        .from = c->client.fd, .to = c->server.fd, .filter = pass_body, .userdata = c};
    c->down = (struct relay_flow){
        .from = c->server.fd, .to = c->client.fd, .filter = pass_answer, .userdata = c};
    int r = send_request(c);
    if (r < 0) {
        connection_refuse(c, r == -EBADMSG ? REFUSAL_BAD_REQUEST : REFUSAL_GATE_FAILED,
                          r == -EBADMSG ? "the chunked body is broken" : NULL);
        return;
    }
    if (http_body_ended(&c->body) && !c->up.ended) {
        c->up.ended = c->up.whole = true;
        c->up.shut = !relay_flow_wants_write(&c->up);
    }
    want(c);
}

/* -- the end -- */

static void finish(struct connection *c)
{
    bool whole = c->down.whole;

    if (!whole && c->answer.kind != HTTP_BODY_UNTIL_CLOSE)
        connection_ended(c, end_code_to_string(END_SERVER_GONE));
    if (!whole || !c->answer.persistent)
        connection_drain(c);
    else
        connection_next_request(c, c->answer.reusable && !c->surplus && c->up.whole && c->up.shut);
}

static void settle(struct connection *c)
{
    if (c->answer.final && c->answer.status == 101)
        tunnel_upgrade(c);
    else if (c->down.shut)
        finish(c);
    else
        want(c);
}

static bool run_up(struct connection *c)
{
    switch (relay_flow_run(&c->up)) {
    case 0:
        return true;
    case RELAY_WRITE_FAILED: /* as in a tunnel */
        c->down.broken = c->up.reset;
        relay_flow_abandon(&c->up);
        return true;
    case RELAY_BAD_BODY:
        if (!c->answer.final && !relay_flow_wants_write(&c->down)) {
            connection_refuse(c, REFUSAL_BAD_REQUEST, "the chunked body is broken");
            return false;
        }
        connection_ended(c, refusal_code(REFUSAL_BAD_REQUEST));
        break;
    }
    connection_abort(c);
    return false;
}

/* There is no answer, or none that may pass. Where a kept connection ended just as it was used, the
 * client's ends likewise: what may be asked once more, the client knows. */
static void answer_failed(struct connection *c)
{
    bool nothing = c->down.ended && c->answer.size == 0 && c->answer.status == 0;

    if (nothing && c->on_kept) {
        connection_ended(c, end_code_to_string(END_SERVER_GONE));
        connection_drain(c);
    } else if (relay_flow_wants_write(&c->down)) {
        connection_ended(c, refusal_code(REFUSAL_BAD_ANSWER));
        connection_abort(c);
    } else if (is_for_the_gate(c)) {
        dial_refuse_by_parent(c, out.answer,
                              sizeof(out.answer)); /* its first line is still there */
    } else {
        connection_refuse(c, REFUSAL_BAD_ANSWER, c->down.why);
    }
}

/* The answer breaks off. Heads and chunks tell the client whether its answer is whole, and a reset
 * could take away the part that it has not read yet; without them a reset alone tells it. */
static void answer_cut(struct connection *c, const char *code)
{
    connection_ended(c, code);
    if (c->answer.kind == HTTP_BODY_UNTIL_CLOSE && c->up.whole)
        connection_abort(c);
    else
        connection_drain(c);
}

static bool run_down(struct connection *c)
{
    switch (relay_flow_run(&c->down)) {
    case 0:
        return true;
    case RELAY_READ_FAILED:
        if (c->answer.final) {
            answer_cut(c, end_code_to_string(END_SERVER_GONE));
            return false;
        }
        c->down.why = "it closed the connection without a whole answer";
        answer_failed(c);
        return false;
    case RELAY_BAD_ANSWER:
        answer_failed(c);
        return false;
    case RELAY_BAD_BODY:
        answer_cut(c, refusal_code(REFUSAL_BAD_ANSWER));
        return false;
    }
    connection_abort(c); /* the client takes no more */
    return false;
}

/* What the client sends behind its whole request waits for its turn; its end goes to the server if
 * nothing else does. False: the connection is gone. */
static bool receive_early(struct connection *c)
{
    ssize_t n = buffer_receive(&c->head, c->client.fd, GATE_HEAD_SIZE_MAX);

    if (n > 0 || n == -EAGAIN || n == -EINTR)
        return true;
    if (n < 0) {
        connection_abort(c);
        return false;
    }
    c->client_ended = true;
    if (c->head.size == 0) {
        c->up.whole = false;
        c->up.shut = false;
    }
    return run_up(c);
}

void exchange_client_ready(struct connection *c, uint32_t events)
{
    if (c->client.events == CONNECTION_DEATH_ALONE && net_error(c->client.fd) < 0) {
        connection_abort(c);
        return;
    }
    if (c->up.whole && (events & ~EPOLLOUT) && !receive_early(c))
        return;
    if (relay_flow_wants_read(&c->up) && !run_up(c))
        return;
    if (relay_flow_wants_write(&c->down) && !run_down(c))
        return;
    settle(c);
}

void exchange_server_ready(struct connection *c)
{
    if (relay_flow_wants_write(&c->up) && !run_up(c))
        return;
    if (run_down(c))
        settle(c);
}
