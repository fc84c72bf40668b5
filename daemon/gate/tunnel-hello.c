/* The first bytes of a CONNECT tunnel: a filter (hello-filter.h) holds them back until they are
 * judged; here are its clock, its refusals, and what other rules mean for it. The clock runs from
 * the first byte, because a tunnel that nobody uses yet may stay so. */
#include "connection.h"

int tunnel_hello_begin(struct connection *c)
{
    if (c->forward || !c->request.connect)
        return 0;
    c->up.hello = hello_filter_new(&c->request.host, c->request.port, c->rule->pattern.any_sni);
    return c->up.hello ? 0 : -ENOMEM;
}

void tunnel_hello_watch(struct connection *c)
{
    if (!c->up.hello || c->up.hello->size == 0)
        timer_clear(c->gate->loop, &c->timer);
    else if (c->timer.position == 0)
        timer_set(c->gate->loop, &c->timer, (uint64_t)GATE_HELLO_TIMEOUT * 1000);
}

void tunnel_hello_refuse(struct connection *c)
{
    const struct hello_filter *hello = c->up.hello;

    if (c->down.bytes > 0) {
        connection_refuse_tunnel(c, hello->refusal, hello->alert);
        return;
    }
    /* It came along with the request, and the client still waits for an answer to that. */
    c->recorded = false;
    connection_refuse(c, hello->refusal, *hello->detail ? hello->detail : NULL);
}

void tunnel_hello_expired(struct connection *c)
{
    c->up.hello->refusal = REFUSAL_HELLO_TIMEOUT;
    tunnel_hello_refuse(c);
}

bool tunnel_hello_recheck(struct connection *c)
{
    bool exempt = c->rule->pattern.any_sni;

    if (c->up.hello)
        c->up.hello->exempt = exempt;
    return exempt || !c->up.unjudged;
}
