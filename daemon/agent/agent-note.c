/* What is remembered of the decisions of an agent's gate. */
#include "agent/agent-note.h"

#include "clock.h"

static void note_held(struct agent *agent, const struct gate_decision *decision)
{
    const struct held_request request = {
        .request = decision->request,
        .host = (char *)decision->host,
        .port = decision->port,
        .since_usec = clock_usec(CLOCK_REALTIME),
    };

    held_requests_add(&agent->held_requests, &request);
}

static void note_refusal(struct agent *agent, const struct gate_decision *decision)
{
    const struct refusal_note note = {
        .host = decision->host,
        .address = decision->address,
        .code = decision->reason,
        .port = decision->port,
        .count = decision->count,
        .usec = clock_usec(CLOCK_REALTIME),
    };

    refused_hosts_note(&agent->refused_hosts, &note);
}

void agent_note_decision(struct agent *agent, const struct gate_decision *decision)
{
    if (decision->verdict == GATE_HELD) {
        note_held(agent, decision);
        return;
    }
    held_requests_remove(&agent->held_requests, decision->request);
    if (decision->verdict == GATE_REFUSED)
        note_refusal(agent, decision);
}

void agent_note_gate_gone(struct agent *agent)
{
    held_requests_clear(&agent->held_requests);
}
