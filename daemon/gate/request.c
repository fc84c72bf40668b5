/* From the head of a request to the addresses that may be dialled. The order is the point: the
 * rules are asked about the name first, and only an allowed name is ever looked up (a lookup is a
 * message to the outside, too); then each address is checked; then exactly these are dialled. */
#include "connection.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "address-class.h"
#include "policy.h"

void request_refuse_denied(struct connection *c, const struct allow_rule *denial)
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
        request_refuse_denied(c, fault->denial);
        return;
    }
    (void)snprintf(detail, sizeof(detail), "%s is %s", ip_address_format(&c->address, address),
                   fault->what);
    connection_refuse(c, REFUSAL_ADDRESS_NOT_ALLOWED, detail);
}

/* Checks the `count` addresses in c->addresses and dials what is left. */
static void check_and_dial(struct connection *c, size_t count)
{
    struct policy_fault fault = {.what = "no address"};

    c->n_addresses = policy_filter_addresses(c->gate->config, &c->request.host, c->request.port,
                                             c->addresses, count, &c->address, &fault);
    if (c->n_addresses == 0)
        request_refuse_address(c, &fault);
    else
        dial_begin(c);
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
        memcpy(c->addresses, addresses, count * sizeof(*addresses));
        c->n_addresses = count;
        dial_order(c);
        if (c->via_parent)
            dial_begin(c); /* the card names the parent itself: its address may be private */
        else
            check_and_dial(c, count);
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
    c->addresses[0] = parent->address;
    c->n_addresses = 1;
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
        c->addresses[0] = host->address;
        check_and_dial(c, 1);
    } else if (streq(host->name, "localhost")) {
        memcpy(c->addresses, localhost, sizeof(localhost));
        check_and_dial(c, ARRAY_SIZE(localhost));
    } else {
        resolve(c, host->name);
    }
}

void request_decide(struct connection *c)
{
    const struct gate_config *config = c->gate->config;
    const struct host *host = &c->request.host;
    uint16_t port = c->request.port;
    struct policy_fault fault;

    const struct allow_rule *denial = policy_find_denial(config, host, port);
    if (denial) {
        request_refuse_denied(c, denial);
        return;
    }
    c->rule = policy_find_rule(config, host, port);
    if (!c->rule) {
        ask_begin(c);
        return;
    }
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
    if (http_request_parse(c->head.data, c->head_size, &c->request, &why) < 0) {
        connection_refuse(c, REFUSAL_BAD_REQUEST, why);
        return;
    }
    /* Nothing more is read before the way is known. */
    if (event_source_set(c->gate->loop, &c->client, 0) < 0)
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
    else
        request_decide(c);
}

void request_read(struct connection *c)
{
    const char *why;
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
    ssize_t size = http_head_find(c->head.data, c->head.size, &c->head_scanned, &why);
    if (size < 0) {
        connection_refuse(c, REFUSAL_BAD_REQUEST, why);
    } else if (size > 0) {
        c->head_size = (size_t)size;
        head_complete(c);
    } else if (c->head.size == GATE_HEAD_SIZE_MAX) {
        connection_refuse(c, REFUSAL_HEAD_TOO_LARGE, NULL);
    }
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
        request_refuse_denied(c, denial);
        return;
    }
    c->rule = policy_find_listing(c->gate->config, c->forward);
    if (!c->rule) {
        connection_refuse(c, REFUSAL_HOST_NOT_ALLOWED, NULL);
        return;
    }
    c->addresses[0] = c->forward->host.address;
    c->n_addresses = 1;
    dial_begin(c);
}
