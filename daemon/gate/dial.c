/* Connecting: the checked addresses one after the other, and the parent proxy's answer. */
#include <stdio.h>
#include <sys/socket.h>

#include "connection.h"
#include "net.h"

#define PARENT_REQUEST_MAX 4096
#define PARENT_QUOTE_MAX 80

static void dial_next(struct connection *c);

static void dial_failed(struct connection *c)
{
    char detail[128];
    bool timeout = c->dial_error == -ETIMEDOUT;

    if (c->dial_error == -EMFILE || c->dial_error == -ENFILE || c->dial_error == -ENOMEM ||
        c->dial_error == -ENOBUFS) {
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return;
    }
    (void)snprintf(detail, sizeof(detail), "%s", strerror(-c->dial_error));
    if (c->via_parent)
        connection_refuse(c, REFUSAL_PARENT_FAILED, detail);
    else
        connection_refuse(c, timeout ? REFUSAL_DIAL_TIMEOUT : REFUSAL_DIAL_FAILED,
                          timeout ? NULL : detail);
}

/* The client's request, or the parent's answer to ours, is over: bytes may flow. */
static void established(struct connection *c)
{
    connection_established(c);
}

/* Asks the parent for a tunnel. The request is shorter than the buffer of any new socket. */
static void ask_parent(struct connection *c)
{
    char request[PARENT_REQUEST_MAX];
    ssize_t size =
        http_request_write(&c->request, HTTP_FORM_CONNECT, c->gate->config->parent_authorization,
                           request, sizeof(request));

    if (size < 0 || send(c->server.fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        connection_refuse(c, REFUSAL_PARENT_FAILED, "it does not take a request");
        return;
    }
    connection_set_state(c, CONNECTION_PARENT_HEAD, GATE_DIAL_TIMEOUT);
    if (event_source_set(c->gate->loop, &c->server, EPOLLIN) < 0)
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
}

static void attempt_failed(struct connection *c, int error)
{
    event_source_remove(c->gate->loop, &c->server);
    c->server.fd = fd_close(c->server.fd);
    c->dial_error = error;
    dial_next(c);
}

void dial_finish_attempt(struct connection *c)
{
    int r = net_error(c->server.fd);

    if (r < 0) {
        attempt_failed(c, r);
        return;
    }
    timer_clear(c->gate->loop, &c->timer);
    net_tune(c->server.fd);
    if (c->via_parent && c->request.connect)
        ask_parent(c);
    else
        established(c);
}

void dial_attempt_expired(struct connection *c)
{
    attempt_failed(c, -ETIMEDOUT);
}

/* How long the next attempt may take, in seconds; 0: no time is left. */
static unsigned attempt_time(const struct connection *c)
{
    uint64_t now = event_loop_now();
    uint64_t left = c->dial_deadline > now ? (c->dial_deadline - now + 999) / 1000 : 0;
    bool more = c->next_address + 1 < c->n_addresses;
    return (unsigned)(more ? MIN_OF(left, (uint64_t)GATE_DIAL_ATTEMPT_TIMEOUT) : left);
}

static void dial_next(struct connection *c)
{
    for (; c->next_address < c->n_addresses; c->next_address++) {
        unsigned seconds = attempt_time(c);
        if (seconds == 0) {
            c->dial_error = -ETIMEDOUT;
            break;
        }
        const struct ip_address *address = &c->addresses[c->next_address];
        uint16_t port = c->via_parent ? c->gate->config->parent.port : c->request.port;
        c->address = *address;
        int fd = net_dial(address, port);
        if (fd < 0) {
            c->dial_error = fd;
            continue;
        }
        c->next_address++;
        c->server.fd = fd;
        connection_set_state(c, CONNECTION_DIALLING, seconds);
        if (event_source_set(c->gate->loop, &c->server, EPOLLOUT) < 0)
            connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return;
    }
    dial_failed(c);
}

void dial_begin(struct connection *c)
{
    connection_set_state(c, CONNECTION_DIALLING, GATE_DIAL_TIMEOUT);
    c->dial_deadline = event_loop_now() + (uint64_t)GATE_DIAL_TIMEOUT * 1000;
    c->next_address = 0;
    dial_next(c);
}

/* -- the parent's answer -- */

/* The first line of what a parent said, with everything strange replaced. */
static void quote_line(const struct buffer *head, char *quote, size_t size)
{
    size_t n = 0;
    for (; n + 1 < size && n < head->size; n++) {
        char c = head->data[n];
        if (c == '\r' || c == '\n')
            break;
        quote[n] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    quote[n] = '\0';
}

static void parent_refused(struct connection *c)
{
    char quote[PARENT_QUOTE_MAX];
    char detail[PARENT_QUOTE_MAX + 32];

    quote_line(&c->parent_head, quote, sizeof(quote));
    (void)snprintf(detail, sizeof(detail), "it said \"%s\"", quote);
    connection_refuse(c, REFUSAL_PARENT_FAILED, detail);
}

void dial_read_parent_head(struct connection *c)
{
    const char *why;
    ssize_t n = buffer_receive(&c->parent_head, c->server.fd, GATE_HEAD_SIZE_MAX);

    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n <= 0) {
        connection_refuse(c, REFUSAL_PARENT_FAILED, "it closed the connection without an answer");
        return;
    }
    ssize_t size =
        http_head_find(c->parent_head.data, c->parent_head.size, &c->parent_head_scanned, &why);
    if (size == 0 && c->parent_head.size < GATE_HEAD_SIZE_MAX)
        return;
    if (size <= 0) {
        connection_refuse(c, REFUSAL_PARENT_FAILED, "its answer is not HTTP");
        return;
    }
    int status = http_status_parse(c->parent_head.data, (size_t)size);
    if (status < 200 || status > 299) {
        parent_refused(c);
        return;
    }
    timer_clear(c->gate->loop, &c->timer);
    c->parent_head_size = (size_t)size;
    established(c);
}
