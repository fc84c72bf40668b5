/* Requests that are held until an operator answers. */
#include "ask.h"

#include "clock.h"
#include "connection.h"

#define ONE_USEC (1000000 / GATE_HELD_PER_SECOND)

bool ask_bucket_take(struct ask_bucket *bucket, uint64_t now_usec)
{
    uint64_t passed = now_usec - bucket->at_usec;
    uint64_t used = bucket->used_usec - MIN_OF(bucket->used_usec, passed);

    *bucket = (struct ask_bucket){.used_usec = used, .at_usec = now_usec};
    if (used > (uint64_t)(GATE_HELD_BURST - 1) * ONE_USEC)
        return false;
    bucket->used_usec += ONE_USEC;
    return true;
}

static bool may_hold(struct gate *gate)
{
    return gate->n_held < GATE_HELD_MAX &&
           ask_bucket_take(&gate->ask_bucket, clock_usec(CLOCK_MONOTONIC));
}

void ask_begin(struct connection *c)
{
    struct gate *gate = c->gate;

    if (gate->config->ask_seconds == 0)
        connection_refuse(c, REFUSAL_HOST_NOT_ALLOWED, NULL);
    else if (!may_hold(gate))
        connection_refuse(c, REFUSAL_TOO_MANY_HELD, NULL);
    else if (event_source_set(gate->loop, &c->client, EPOLLRDHUP) < 0)
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
    else if (!connection_record_held(c))
        connection_abort(c);
    else
        connection_set_state(c, CONNECTION_HELD, gate->config->ask_seconds);
}

void ask_recheck(struct connection *c)
{
    const struct gate_config *config = c->gate->config;
    const struct host *host = &c->request.host;

    if (!policy_find_denial(config, host, c->request.port) &&
        !policy_find_rule(config, host, c->request.port))
        return;
    if (event_source_set(c->gate->loop, &c->client, 0) < 0)
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
    else
        request_decide(c);
}
