/* Other rules are in force: what is under way is held against them. A connection that has not been
 * answered yet is refused as if it came now; one that was is cut, both ways. What goes on remembers
 * the rule that allows it now. */
#include "connection.h"

static void refuse(struct connection *c, const struct policy_fault *fault)
{
    if (!fault->denial && !fault->what) {
        connection_refuse(c, REFUSAL_HOST_NOT_ALLOWED, NULL);
        return;
    }
    if (c->via_parent) /* the fault is in what was asked for, not in where the parent is */
        c->address = c->request.host.address;
    request_refuse_address(c, fault);
}

/* A server's connection that waits for a request that would be refused now. */
static void recheck_kept(struct connection *c)
{
    const struct policy_subject subject = {
        .host = &c->kept.host,
        .port = c->kept.port,
        .address = c->kept.via_parent ? NULL : &c->kept.address,
    };
    struct policy_fault fault;

    if (c->kept.is && !policy_recheck(c->gate->config, &subject, &fault))
        connection_drop_server(c);
}

/* Whether it ended a connection that had been allowed. */
static bool recheck(struct connection *c)
{
    bool answered = c->state == CONNECTION_RECORDING || c->state == CONNECTION_EXCHANGE ||
                    c->state == CONNECTION_TUNNEL;
    bool dialling = c->state == CONNECTION_DIALLING;
    bool undecided = c->state == CONNECTION_RESOLVING || dialling || c->via_parent;
    const struct policy_subject subject = {
        .host = &c->request.host,
        .port = c->request.port,
        .forward = c->forward,
        .address = undecided ? NULL : &c->address,
    };
    const struct allow_rule *old_rule = c->rule;
    struct policy_fault fault;

    recheck_kept(c);
    c->rule = NULL; /* of rules that are about to go */
    if (c->state == CONNECTION_READING_HEAD || c->state == CONNECTION_DRAINING)
        return false;
    if (c->state == CONNECTION_HELD) {
        ask_recheck(c);
        return false;
    }
    c->rule = policy_recheck(c->gate->config, &subject, &fault);
    if (c->rule && tunnel_hello_recheck(c)) {
        if (dialling)
            dial_recheck(c);
        return false;
    }
    if (!answered) {
        refuse(c, &fault);
        return false;
    }
    c->rule = old_rule; /* it is there until all are held against the new ones */
    connection_ended(c, end_code_to_string(END_CUT));
    connection_abort(c);
    return true;
}

/* Ending one connection frees no other. */
size_t connections_recheck(struct gate *gate)
{
    struct connection *next;
    size_t n_cut = 0;

    for (struct connection *c = gate->connections; c; c = next) {
        next = c->next;
        n_cut += recheck(c);
    }
    return n_cut;
}
