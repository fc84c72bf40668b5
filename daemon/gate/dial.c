/* Connecting, as RFC 8305 (happy eyeballs) has it, and the parent proxy's answer.
 *
 * The checked addresses are tried in their order. A request has one attempt in c->server; while
 * that has not succeeded, another begins each GATE_DIAL_DELAY_MS, or as soon as one has failed, in
 * c->race. The first that is connected becomes c->server, the others are closed. With one address
 * there is nothing but c->server and its time-out.
 *
 * Attempts are bounded, for a request and for the gate. Where there is no place for the next one,
 * the oldest of the request gives its place up when it is GATE_DIAL_ATTEMPT_TIMEOUT old. The timer
 * of the connection stands for whatever comes first: the next attempt, or the end of all.
 *
 * The family that lost to the other one is not tried first for a while: else each connection would
 * wait for it anew on a host whose IPv6 leads nowhere. */
#include <stdio.h>
#include <sys/socket.h>

#include "address-order.h"
#include "connection.h"
#include "dial-race.h"
#include "net.h"
#include "tcp-tune.h"

#define PARENT_REQUEST_MAX 4096
#define PARENT_QUOTE_MAX 80

static bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

static void dial_failed(struct connection *c)
{
    char detail[128];
    bool timeout = c->dial_error == -ETIMEDOUT;

    dial_race_end(c);
    if (is_shortage(c->dial_error)) {
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

/* -- attempts -- */

static void attempt_ready(struct event_source *source, uint32_t events);
static void connected(struct connection *c);

/* 0; 1 if c->server is connected at once; -EBUSY where there is no place; else what is wrong with
 * the address, or with us. */
static int attempt_start(struct connection *c, const struct ip_address *address)
{
    struct dial_attempt *attempt =
        c->server.fd >= 0 ? dial_race_take_place(c, attempt_ready) : NULL;
    struct event_source *source = attempt ? &attempt->source : &c->server;
    uint16_t port = c->via_parent ? c->gate->config->parent.port : c->request.port;
    bool at_once;

    if (source->fd >= 0)
        return -EBUSY;
    int fd = net_dial(address, port, &at_once);
    if (fd < 0)
        return fd;
    source->fd = fd;
    if (attempt) {
        attempt->address = *address;
        attempt->started = event_loop_now();
        c->gate->n_extra_dials++;
    } else {
        c->address = *address;
        c->dial_started = event_loop_now();
        if (at_once)
            return 1;
    }
    int r = event_source_set(c->gate->loop, source, EPOLLOUT);
    if (r < 0 && attempt)
        dial_attempt_close(attempt);
    else if (r < 0)
        dial_source_close(c, &c->server);
    return r;
}

/* The record of a refusal has the last one. */
static void attempt_failed(struct connection *c, const struct ip_address *address, int error)
{
    c->dial_error = error;
    if (c->server.fd < 0)
        c->address = *address;
}

/* -- which comes next -- */

/* Until the next attempt, or the end. */
static void set_timer(struct connection *c)
{
    uint64_t now = event_loop_now(), until = c->dial_deadline;
    struct dial_attempt *oldest;

    if (c->next_address < c->n_addresses) {
        uint64_t next = dial_race_has_place(c)
                            ? now + GATE_DIAL_DELAY_MS
                            : dial_race_find_oldest(c, &oldest) + GATE_DIAL_ATTEMPT_TIMEOUT * 1000;
        until = MIN_OF(until, next);
    }
    timer_set(c->gate->loop, &c->timer, until > now ? until - now : 1);
}

/* Begins one attempt, if there is an address and a place for it. */
static void dial_next(struct connection *c)
{
    while (c->next_address < c->n_addresses) {
        const struct ip_address *address = &c->addresses[c->next_address];
        int r = attempt_start(c, address);
        if (r == -EBUSY || (is_shortage(r) && dial_is_under_way(c)))
            break; /* later */
        c->next_address++;
        if (r > 0) {
            connected(c);
            return;
        }
        if (r == 0)
            break;
        attempt_failed(c, address, r);
    }
    if (dial_is_under_way(c))
        set_timer(c);
    else
        dial_failed(c);
}

void dial_timer_expired(struct connection *c)
{
    uint64_t now = event_loop_now();
    struct dial_attempt *oldest;

    if (now >= c->dial_deadline) {
        c->dial_error = -ETIMEDOUT;
        dial_failed(c);
        return;
    }
    if (c->next_address < c->n_addresses && !dial_race_has_place(c) &&
        dial_race_find_oldest(c, &oldest) + GATE_DIAL_ATTEMPT_TIMEOUT * 1000 <= now) {
        struct ip_address address = oldest ? oldest->address : c->address;
        if (oldest)
            dial_attempt_close(oldest);
        else
            dial_source_close(c, &c->server);
        attempt_failed(c, &address, -ETIMEDOUT);
    }
    dial_next(c);
}

/* -- the first that is connected -- */

static void remember_family(struct connection *c)
{
    if (c->n_addresses < 2 || c->address.family == c->addresses[0].family)
        return;
    c->gate->quicker = c->address.family;
    c->gate->quicker_until = event_loop_now() + GATE_DIAL_FAMILY_MEMORY * 1000;
}

static void connected(struct connection *c)
{
    dial_race_end(c);
    remember_family(c);
    timer_clear(c->gate->loop, &c->timer);
    tcp_tune(c->server.fd);
    if (c->via_parent && c->request.connect)
        ask_parent(c);
    else
        connection_established(c);
}

static void attempt_ready(struct event_source *source, uint32_t events)
{
    struct dial_attempt *attempt = CONTAINER_OF(source, struct dial_attempt, source);
    struct connection *c = attempt->c;
    int r = net_error(source->fd);

    if (r < 0) {
        struct ip_address address = attempt->address;
        dial_attempt_close(attempt);
        attempt_failed(c, &address, r);
        dial_next(c);
        return;
    }
    dial_source_close(c, &c->server);
    event_source_remove(c->gate->loop, source);
    c->gate->n_extra_dials--;
    c->server.fd = TAKE_FD(source->fd);
    c->address = attempt->address;
    connected(c);
}

void dial_finish_attempt(struct connection *c)
{
    int r = net_error(c->server.fd);

    if (r == 0) {
        connected(c);
        return;
    }
    dial_source_close(c, &c->server);
    attempt_failed(c, &c->address, r);
    dial_next(c);
}

bool dial_set_addresses(struct connection *c, const struct ip_address *addresses, size_t count)
{
    dial_drop_addresses(c);
    c->addresses = calloc(count, sizeof(*addresses));
    if (!c->addresses) {
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return false;
    }
    memcpy(c->addresses, addresses, count * sizeof(*addresses));
    c->n_addresses = count;
    return true;
}

void dial_drop_addresses(struct connection *c)
{
    free(c->addresses);
    c->addresses = NULL;
    c->n_addresses = c->next_address = 0;
}

void dial_order(struct connection *c)
{
    const struct gate *gate = c->gate;
    bool remembered = event_loop_now() < gate->quicker_until;

    if (c->n_addresses > 1)
        address_order(c->addresses, c->n_addresses, remembered ? gate->quicker : AF_INET6);
}

void dial_begin(struct connection *c)
{
    connection_set_state(c, CONNECTION_DIALLING, 0);
    c->dial_deadline = event_loop_now() + (uint64_t)GATE_DIAL_TIMEOUT * 1000;
    c->next_address = 0;
    dial_next(c);
}

/* -- other rules -- */

static bool is_denied(struct connection *c, const struct ip_address *address,
                      struct policy_fault *ret)
{
    return policy_address_fault(c->gate->config, &c->request.host, address, c->request.port, ret);
}

/* Ends the attempts at addresses that are not allowed any more; the last of them is *ret_refused.
 */
static void drop_attempts(struct connection *c, struct ip_address *ret_refused,
                          struct policy_fault *ret_fault)
{
    for (size_t i = 0; c->race && i < ARRAY_SIZE(c->race->attempts); i++) {
        struct dial_attempt *attempt = &c->race->attempts[i];
        if (attempt->source.fd >= 0 && is_denied(c, &attempt->address, ret_fault)) {
            *ret_refused = attempt->address;
            dial_attempt_close(attempt);
        }
    }
    if (c->server.fd >= 0 && is_denied(c, &c->address, ret_fault)) {
        *ret_refused = c->address;
        dial_source_close(c, &c->server);
    }
}

void dial_recheck(struct connection *c)
{
    struct policy_fault fault = {.what = "not allowed any more"};
    size_t left = c->n_addresses - c->next_address;
    struct ip_address refused = c->address;

    if (c->forward || c->via_parent) /* nothing of it is in the lists but what was asked already */
        return;
    left = policy_filter_addresses(c->gate->config, &c->request.host, c->request.port,
                                   c->addresses + c->next_address, left, &refused, &fault);
    c->n_addresses = c->next_address + left;
    drop_attempts(c, &refused, &fault);
    if (dial_is_under_way(c))
        return; /* the timer begins the next attempt, or ends them all */
    if (left > 0) {
        dial_next(c);
        return;
    }
    c->address = refused;
    request_refuse_address(c, &fault);
}

/* -- the parent's answer -- */

/* The first line of what a parent said, with everything strange replaced. */
static void quote_line(const char *head, size_t head_size, char *quote, size_t size)
{
    size_t n = 0;
    for (; n + 1 < size && n < head_size; n++) {
        char c = head[n];
        if (c == '\r' || c == '\n')
            break;
        quote[n] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    quote[n] = '\0';
}

void dial_refuse_by_parent(struct connection *c, const char *head, size_t size)
{
    char quote[PARENT_QUOTE_MAX];
    char detail[PARENT_QUOTE_MAX + 32];

    quote_line(head, size, quote, sizeof(quote));
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
        dial_refuse_by_parent(c, c->parent_head.data, (size_t)size);
        return;
    }
    timer_clear(c->gate->loop, &c->timer);
    c->parent_head_size = (size_t)size;
    connection_established(c);
}
