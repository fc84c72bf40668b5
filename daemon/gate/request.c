/* From the head of a request to the addresses that may be dialled. The order is the point: the
 * rules are asked about the name first, and only an allowed name is ever looked up (a lookup is a
 * message to the outside, too); then each address is checked; then exactly these are dialled. */
#include "connection.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "address-class.h"
#include "policy.h"

static void refuse_denied(struct connection *c, const struct allow_rule *denial)
{
    char address[INET6_ADDRSTRLEN];
    char detail[HOST_PATTERN_TEXT_MAX + 128];
    bool by_address = c->address.family != AF_UNSPEC;

    c->rule = denial;
    (void)snprintf(detail, sizeof(detail), "%s%sthe entry \"%s\"",
                   by_address ? ip_address_format(&c->address, address) : "",
                   by_address ? ", by " : "by ", denial->text);
    connection_refuse(c, REFUSAL_HOST_DENIED, detail);
}

void request_refuse_address(struct connection *c, const struct policy_fault *fault)
{
    char address[INET6_ADDRSTRLEN];
    char detail[128];

    if (fault->denial) {
        refuse_denied(c, fault->denial);
        return;
    }
    (void)snprintf(detail, sizeof(detail), "%s is %s", ip_address_format(&c->address, address),
                   fault->what);
    connection_refuse(c, REFUSAL_ADDRESS_NOT_ALLOWED, detail);
}

/* Checks c->addresses and dials what is left. */
static void check_and_dial(struct connection *c)
{
    struct policy_fault fault = {.what = "no address"};

    c->n_addresses = policy_filter_addresses(c->gate->config, &c->request.host, c->request.port,
                                             c->addresses, c->n_addresses, &c->address, &fault);
    if (c->n_addresses == 0)
        request_refuse_address(c, &fault);
    else
        dial_begin(c);
}

/* The card names the parent itself: its address may be private. */
static void check_and_dial_parent(struct connection *c)
{
    char address[INET6_ADDRSTRLEN];
    char detail[128];

    c->n_addresses = policy_filter_parent(c->addresses, c->n_addresses, &c->address);
    if (c->n_addresses > 0) {
        dial_begin(c);
        return;
    }
    (void)snprintf(detail, sizeof(detail), "its name leads to %s, which is cloud metadata",
                   ip_address_format(&c->address, address));
    connection_refuse(c, REFUSAL_PARENT_FAILED, detail);
}

static const char *resolve_detail(enum resolve_status status)
{
    return status == RESOLVE_TIMEOUT ? "no name server answered for the parent proxy"
                                     : "the name of the parent proxy could not be resolved";
}

static void resolved(void *userdata, enum resolve_status status, const struct ip_address *addresses,
                     size_t count)
{
    static const enum refusal refusals[] = {
        [RESOLVE_OK] = REFUSAL_NONE,
        [RESOLVE_NO_ADDRESS] = REFUSAL_NAME_NOT_RESOLVED,
        [RESOLVE_TIMEOUT] = REFUSAL_DNS_TIMEOUT,
        [RESOLVE_FAILED] = REFUSAL_GATE_FAILED,
    };
    struct connection *c = userdata;

    c->query = NULL;
    if (status == RESOLVE_OK) {
        if (!dial_set_addresses(c, addresses, count))
            return;
        dial_order(c);
        if (c->via_parent)
            check_and_dial_parent(c);
        else
            check_and_dial(c);
    } else if (c->via_parent && status != RESOLVE_FAILED) {
        connection_refuse(c, REFUSAL_PARENT_FAILED, resolve_detail(status));
    } else {
        connection_refuse(c, refusals[status], NULL);
    }
}

static void resolve(struct connection *c, const char *name)
{
    connection_set_state(c, CONNECTION_RESOLVING, GATE_DNS_TIMEOUT);
    resolver_lookup(c->gate->resolver, name, resolved, c, &c->query);
}

static void go_to_parent(struct connection *c)
{
    const struct host *parent = &c->gate->config->parent.host;

    c->via_parent = true;
    if (parent->address.family == AF_UNSPEC) {
        resolve(c, parent->name);
        return;
    }
    if (dial_set_addresses(c, &parent->address, 1))
        dial_begin(c);
}

/* This machine, by name or number: never a parent proxy's business. */
static bool is_local(const struct host *host)
{
    return streq(host->name, "localhost") || address_is_loopback(&host->address);
}

static void go_direct(struct connection *c)
{
    const struct ip_address localhost[] = {
        {.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)},
        {.family = AF_INET6, .v6 = IN6ADDR_LOOPBACK_INIT},
    };
    const struct host *host = &c->request.host;

    if (host->address.family != AF_UNSPEC) {
        if (dial_set_addresses(c, &host->address, 1))
            check_and_dial(c);
    } else if (streq(host->name, "localhost")) {
        if (dial_set_addresses(c, localhost, ARRAY_SIZE(localhost)))
            check_and_dial(c);
    } else {
        resolve(c, host->name);
    }
}

/* The server's connection of the last request serves this one too, if it goes to the same host and
 * what is connected may still be. */
static bool take_kept(struct connection *c)
{
    const struct host *host = &c->request.host;
    uint16_t port = c->request.port;
    struct policy_fault fault;

    if (!c->kept.is)
        return false;
    if (c->request.connect || port != c->kept.port || !streq(host->name, c->kept.host.name) ||
        (!c->kept.via_parent &&
         policy_address_fault(c->gate->config, host, &c->kept.address, port, &fault))) {
        connection_drop_server(c);
        return false;
    }
    c->kept.is = false;
    c->on_kept = true;
    c->via_parent = c->kept.via_parent;
    c->address = c->kept.address;
    return true;
}

/* Nothing more is read of the client before the way is known. */
static bool hush_client(struct connection *c)
{
    if (event_source_set(c->gate->loop, &c->client, 0) == 0)
        return true;
    connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
    return false;
}

void request_decide(struct connection *c)
{
    const struct gate_config *config = c->gate->config;
    const struct host *host = &c->request.host;
    uint16_t port = c->request.port;
    struct policy_fault fault;

    const struct allow_rule *denial = policy_find_denial(config, host, port);
    if (denial) {
        refuse_denied(c, denial);
        return;
    }
    c->rule = policy_find_rule(config, host, port);
    if (!c->rule) {
        if (c->kept.is) /* it would wait for long, and for nothing */
            connection_drop_server(c);
        ask_begin(c);
        return;
    }
    if (take_kept(c)) {
        connection_established(c);
        return;
    }
    if (!hush_client(c))
        return;
    if (config->parent.port == 0 || is_local(host)) {
        go_direct(c);
        return;
    }
    /* A parent resolves names itself, but a literal address is checked here as always. */
    if (host->address.family != AF_UNSPEC &&
        policy_address_fault(config, host, &host->address, port, &fault)) {
        c->address = host->address;
        request_refuse_address(c, &fault);
    } else {
        go_to_parent(c);
    }
}

static void head_complete(struct connection *c)
{
    const char *why;

    timer_clear(c->gate->loop, &c->timer);
    connection_number_request(c);
    int r = http_request_parse(c->head.data, c->head_size, &c->request, &why);
    if (r < 0) {
        connection_refuse(c, r == -EMSGSIZE ? REFUSAL_HEAD_TOO_LARGE : REFUSAL_BAD_REQUEST, why);
        return;
    }
    c->request_read = true;
    request_decide(c);
}

/* `first`: these are its first bytes. */
static void wait_for_more(struct connection *c, bool first)
{
    if (first) /* from its first byte a head has its own time */
        timer_set(c->gate->loop, &c->timer, (uint64_t)GATE_HEAD_TIMEOUT * 1000);
    if (c->client_ended)
        connection_close(c); /* gone before it asked for anything */
    else if (event_source_set(c->gate->loop, &c->client, EPOLLIN) < 0)
        connection_abort(c);
}

/* Looks at what has come. `first`: the first bytes behind another request. */
static void find_head(struct connection *c, bool first)
{
    const char *why;
    ssize_t size = http_head_find(c->head.data, c->head.size, &c->head_scanned, &why);

    if (size < 0) {
        connection_refuse(c, REFUSAL_BAD_REQUEST, why);
    } else if (size > GATE_HEAD_SIZE_MAX || (size == 0 && c->head.size >= GATE_HEAD_SIZE_MAX)) {
        connection_refuse(c, REFUSAL_HEAD_TOO_LARGE, NULL);
    } else if (size > 0) {
        c->head_size = (size_t)size;
        head_complete(c);
    } else {
        wait_for_more(c, first);
    }
}

static void receive(struct connection *c)
{
    bool idle = c->used && c->head.size == 0;
    ssize_t n = buffer_receive(&c->head, c->client.fd, GATE_HEAD_SIZE_MAX);

    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n == -ENOMEM) {
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return;
    }
    if (n <= 0) { /* gone before it asked for anything */
        connection_close(c);
        return;
    }
    find_head(c, idle);
}

/* Requests that came along with others are taken one at a time, each in its turn of the loop, and
 * only while the client takes its answers: so each is begun when the socket is writable. */
void request_wait(struct connection *c)
{
    bool more = c->head.size > 0;

    if (c->client_ended && !more) {
        connection_drain(c);
        return;
    }
    connection_set_state(c, CONNECTION_READING_HEAD,
                         more ? GATE_HEAD_TIMEOUT : GATE_KEEPALIVE_TIMEOUT);
    request_resume(c);
}

void request_resume(struct connection *c)
{
    bool look = c->head.size > 0 || relay_flow_wants_write(&c->down);

    if (event_source_set(c->gate->loop, &c->client, look ? EPOLLOUT : EPOLLIN) < 0)
        connection_abort(c);
}

void request_read(struct connection *c)
{
    if (relay_flow_flush(&c->down) != 0) {
        connection_abort(c);
        return;
    }
    if (relay_flow_wants_write(&c->down))
        return;
    /* A connection has a few records at most that wait, so that all of them are bounded. */
    if (c->used && recorder_is_blocked(&c->gate->recorder))
        event_source_remove(c->gate->loop, &c->client);
    else if (!(c->client.events & EPOLLOUT))
        receive(c);
    else if (c->head.size > 0)
        find_head(c, false);
    else
        wait_for_more(c, false);
}

/* cagedd made the listener because the card lists its target; that is checked again here. */
void request_forward_begin(struct connection *c)
{
    connection_number_request(c);
    c->request.host = c->forward->host;
    c->request.port = c->forward->port;
    const struct allow_rule *denial =
        policy_find_denial(c->gate->config, &c->forward->host, c->forward->port);
    if (denial) {
        refuse_denied(c, denial);
        return;
    }
    c->rule = policy_find_listing(c->gate->config, c->forward);
    if (!c->rule) {
        connection_refuse(c, REFUSAL_HOST_NOT_ALLOWED, NULL);
        return;
    }
    if (dial_set_addresses(c, &c->forward->host.address, 1))
        dial_begin(c);
}
