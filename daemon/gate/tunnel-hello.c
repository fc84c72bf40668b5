/* The first bytes of a CONNECT tunnel: a filter (hello-filter.h) holds them back until they are
 * judged; here are its clock, its refusals, and what other rules mean for it. The clock runs from
 * the first byte, because a tunnel that nobody uses yet may stay so. */
#include <sys/socket.h>

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

/* Behind the answer that opened the tunnel. A reset where TLS has no word for it, or where none can
 * be put because something else is on its way to the client. */
static void say_alert(struct connection *c, unsigned alert)
{
    const uint8_t said[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert}; /* RFC 8446, sections 5.1 and 6 */

    if (alert == 0 || relay_flow_wants_write(&c->down)) {
        connection_abort(c);
        return;
    }
    (void)send(c->client.fd, said, sizeof(said), MSG_NOSIGNAL);
    connection_drain(c);
}

void tunnel_hello_refuse(struct connection *c)
{
    const struct hello_filter *hello = c->up.hello;
    /* It came along with the request, and the client still waits for an answer to that. */
    bool unanswered = !connection_is_raw(c) && c->down.bytes == 0;
    bool recorded = connection_record_refused(c, hello->refusal,
                                              unanswered ? refusal_status(hello->refusal) : 0);

    connection_ended(c, refusal_code(hello->refusal));
    if (!recorded)
        connection_abort(c);
    else if (unanswered)
        connection_refuse(c, hello->refusal, hello->detail);
    else
        say_alert(c, hello->alert);
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
