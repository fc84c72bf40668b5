/* Reload: the hosts of a running agent by its card as it is now. It is answered when the gate has
 * taken them, so that what was removed is cut by then. */
#include <stdio.h>

#include "agent/agent-json.h"
#include "agent/agent-reload.h"
#include "caged-limits.h"
#include "policy/host-ceiling.h"
#include "server/methods.h"

/* An agent that ended meanwhile reaches nobody: that will do, too. */
static void pump_reload(struct connection *c)
{
    const struct agent *agent = c->agent;

    if (agent->gate && !gate_supervisor_is_updated(agent->gate, c->update))
        return;
    json_t *reply = c->result;
    c->result = NULL;
    if (json_object_set_new(reply, "agent", agent_to_json(agent)) < 0) {
        json_decref(reply);
        reply = NULL;
    }
    connection_reply(c, reply);
}

static json_t *change_to_json(const struct agent_change *change)
{
    return json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:O, s:b}", "added", change->added, "removed",
                     change->removed, "private_added", change->private_added, "private_removed",
                     change->private_removed, "denied_added", change->denied_added,
                     "denied_removed", change->denied_removed, "ignored", change->ignored,
                     "live_replaced", change->live);
}

void method_reply_reload_failed(struct connection *c, const struct agent *agent, int error)
{
    connection_error(c, "io.caged.ReloadFailed",
                     json_pack("{s:s, s:i, s:s}", "agent_id", agent->card->agent_id, "errno",
                               -error, "reason",
                               error == -EBUSY ? "the log does not take what was changed before; "
                                                 "try again later"
                                               : strerror(-error)));
}

void method_reply_over_rule(struct connection *c, const struct policy_rule *rule, const char *what,
                            const struct card_error *error)
{
    char why[sizeof(*error) + POLICY_RULE_NAME_MAX + 32];

    if (rule)
        (void)snprintf(why, sizeof(why), "%s; the rule \"%s\" of the site policy allows %s",
                       error->found, rule->name, error->expected);
    else
        (void)snprintf(why, sizeof(why), "%s: %s", error->found, error->expected);

    connection_error(
        c, "io.caged.NotPermitted",
        json_pack("{s:o, s:o}", "what", json_string_lossy(what), "reason", json_string_lossy(why)));
}

/* Whether the card's hosts are within the agent's rule; else it was replied. What the card leaves
 * open is then filled in as it was at the agent's start, so that it is no difference. */
static bool hold(struct connection *c, const struct agent *agent, struct card *card)
{
    struct card_error error;
    int r = host_ceiling_check_card(agent->rule, card, agent->card->api_provider, &error);

    if (r == -EPERM) {
        method_reply_over_rule(c, agent->rule, error.path, &error);
    } else if (r < 0) {
        connection_reply(c, NULL);
    } else {
        (void)policy_rule_hold(agent->rule, card, &error);
    }
    return r >= 0;
}

static void reload(struct connection *c, struct agent *agent, struct card *card)
{
    CLEANUP(agent_change_deinit) struct agent_change change = {};
    int r = agent_reload(agent, card, c->peer.uid, &change, &c->update);

    if (r < 0) {
        method_reply_reload_failed(c, agent, r);
        return;
    }
    c->result = change_to_json(&change);
    if (!c->result) {
        connection_reply(c, NULL);
        return;
    }
    c->agent = agent;
    connection_set_pump(c, pump_reload, &agent->watches);
}

void method_reload(struct call *call)
{
    CLEANUP(card_freep) struct card *card = NULL;
    struct connection *c = call->connection;
    struct agent_problem problem = {};
    json_int_t owner = -1;
    json_t *json;
    const struct parameter table[] = {
        {"card", PARAMETER_OBJECT, true, &json},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
    };

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    int r = method_take_card(json, &card, &problem);
    if (r < 0 && problem.failure == FAILURE_NONE) {
        connection_reply(c, NULL); /* no memory */
        return;
    }
    if (r < 0) {
        method_reply_problem(c, &problem);
        return;
    }
    struct agent *agent = method_find_agent(c, card->agent_id, owner, POLICY_CHANGE);
    if (agent && !agent->gate)
        method_reply_not_running(c, agent);
    else if (agent && hold(c, agent, card))
        reload(c, agent, card);
}
