/* Stop, Kill, List, Inspect: what is answered at once. */
#include <signal.h>

#include "agent/agent-json.h"
#include "caged-limits.h"
#include "policy/access.h"
#include "server/methods.h"

/* Reads the parameters and finds the agent; NULL: an error was replied. */
static struct agent *read_and_find(struct call *call, const struct parameter *table, size_t n,
                                   const char *const *id, const json_int_t *owner,
                                   enum policy_right right)
{
    return method_read(call, table, n) ? method_find_agent(call->connection, *id, *owner, right)
                                       : NULL;
}

void method_reply_not_running(struct connection *c, const struct agent *agent)
{
    connection_error(c, "io.caged.NotRunning",
                     json_pack("{s:s, s:s}", "agent_id", agent->card->agent_id, "state",
                               agent_state_to_string(agent->state)));
}

void method_stop(struct call *call)
{
    struct connection *c = call->connection;
    json_int_t owner = -1, grace = AGENT_STOP_GRACE;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
        {"grace_seconds", PARAMETER_INTEGER, false, &grace},
    };
    struct agent *agent = read_and_find(call, table, ARRAY_SIZE(table), &id, &owner, POLICY_STOP);

    if (!agent)
        return;
    if (grace > AGENT_STOP_GRACE_MAX) {
        connection_invalid(c, "grace_seconds");
    } else if (agent->state == AGENT_ENDED) {
        method_reply_not_running(c, agent);
    } else {
        agent_stop(agent, END_STOPPED, (uint64_t)grace);
        connection_reply(c, json_object());
    }
}

void method_kill(struct call *call)
{
    struct connection *c = call->connection;
    json_int_t owner = -1, number = SIGKILL;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
        {"signal", PARAMETER_INTEGER, false, &number},
    };
    struct agent *agent = read_and_find(call, table, ARRAY_SIZE(table), &id, &owner, POLICY_STOP);

    if (!agent)
        return;
    if (number < 1 || number > SIGRTMAX) {
        connection_invalid(c, "signal");
        return;
    }
    if (agent->state == AGENT_ENDED) {
        method_reply_not_running(c, agent);
        return;
    }
    if (number == SIGKILL) {
        agent_kill(agent, END_KILLED);
    } else if (agent_signal(agent, (int)number) < 0) {
        method_reply_not_running(c, agent);
        return;
    }
    connection_reply(c, json_object());
}

static void list_agents(const struct connection *c, const struct agent_list *list, json_t *array)
{
    struct agent *agent;

    TAILQ_FOREACH (agent, list, entry)
        if (access_has(&c->peer, agent, POLICY_SEE))
            (void)json_array_append_new(array, agent_to_json(agent));
}

void method_list(struct call *call)
{
    struct connection *c = call->connection;
    bool all = false;
    const struct parameter table[] = {{"all", PARAMETER_BOOLEAN, false, &all}};
    json_t *array;

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    array = json_array();
    if (array && all)
        list_agents(c, &c->manager->ended, array);
    if (array)
        list_agents(c, &c->manager->live, array);
    connection_reply(c, array ? json_pack("{s:o}", "agents", array) : NULL);
}

void method_inspect(struct call *call)
{
    json_int_t owner = -1;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
    };
    struct agent *agent = read_and_find(call, table, ARRAY_SIZE(table), &id, &owner, POLICY_SEE);

    if (agent)
        connection_reply(call->connection, agent_inspect_to_json(agent));
}
