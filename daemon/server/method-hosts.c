/* ChangeHosts and Hosts: single hosts for a running agent, and which it has. A change is answered
 * when it is in force, as a reload is. */
#include <stdio.h>

#include "agent/agent-change.h"
#include "agent/agent-json.h"
#include "caged-limits.h"
#include "server/methods.h"

/* The result has the number of cut connections before the change, until this makes it the number of
 * those that it cut. An agent that ended meanwhile reaches nobody. */
static void pump_change(struct connection *c)
{
    const struct agent *agent = c->agent;

    if (agent->gate && !gate_supervisor_is_updated(agent->gate, c->update))
        return;
    json_t *reply = c->result;
    json_t *cut = json_object_get(reply, "cut");
    c->result = NULL;
    (void)json_integer_set(cut, (json_int_t)agent->cut - json_integer_value(cut));
    if (json_object_set_new(reply, "agent", agent_to_json(agent)) < 0) {
        json_decref(reply);
        reply = NULL;
    }
    connection_reply(c, reply);
}

static json_t *change_to_json(const struct agent *agent, const struct agent_change *change)
{
    return json_pack("{s:o, s:o, s:O, s:O, s:O, s:O, s:O, s:I}", "allowed_hosts",
                     agent_allowed_to_json(agent), "denied_hosts", agent_denied_to_json(agent),
                     "added", change->added, "removed", change->removed, "denied_added",
                     change->denied_added, "denied_removed", change->denied_removed, "ignored",
                     change->ignored, "cut", (json_int_t)agent->cut);
}

static void refuse(struct connection *c, const struct agent *agent, int error,
                   const struct host_change_fault *fault)
{
    char entry[64];

    if (error == -EINVAL) {
        (void)snprintf(entry, sizeof(entry), "%s[%zu]", fault->list, fault->index);
        connection_invalid(c, entry);
    } else if (error == -EPERM && fault->list) {
        (void)snprintf(entry, sizeof(entry), "%s[%zu]", fault->list, fault->index);
        method_reply_over_rule(c, agent->rule, entry, &fault->error);
    } else if (error == -E2BIG) {
        connection_error(c, "io.caged.TooManyHosts",
                         json_pack("{s:s, s:i}", "list", fault->list, "maximum", CARD_HOSTS_MAX));
    } else {
        method_reply_reload_failed(c, agent, error);
    }
}

static void change(struct connection *c, struct agent *agent, const struct host_change *asked)
{
    CLEANUP(agent_change_deinit) struct agent_change done = {};
    struct host_change_fault fault = {};
    int r = agent_change_hosts(agent, asked, c->peer.uid, &done, &fault, &c->update);

    if (r < 0) {
        refuse(c, agent, r, &fault);
        return;
    }
    c->result = change_to_json(agent, &done);
    if (!c->result) {
        connection_reply(c, NULL);
        return;
    }
    c->agent = agent;
    connection_set_pump(c, pump_change, &agent->watches);
}

static void run_change(struct connection *c, struct agent *agent, const json_t *allow,
                       const json_t *deny)
{
    struct string_list to_allow = {}, to_deny = {};

    if (parameters_borrow_strings(allow, &to_allow) < 0 ||
        parameters_borrow_strings(deny, &to_deny) < 0)
        connection_reply(c, NULL);
    else
        change(c, agent, &(struct host_change){&to_allow, &to_deny, &agent->card->private_hosts});
    free(to_allow.items);
    free(to_deny.items);
}

void method_change_hosts(struct call *call)
{
    struct connection *c = call->connection;
    json_int_t owner = -1;
    json_t *allow = NULL, *deny = NULL;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
        {"allow", PARAMETER_STRINGS, false, &allow},
        {"deny", PARAMETER_STRINGS, false, &deny},
    };

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    struct agent *agent = method_find_agent(c, id, owner, POLICY_CHANGE);
    if (!agent)
        return;
    if (json_array_size(allow) + json_array_size(deny) == 0)
        connection_invalid(c, "allow");
    else if (agent->state != AGENT_RUNNING || !agent->gate)
        method_reply_not_running(c, agent);
    else
        run_change(c, agent, allow, deny);
}

/* -- Hosts -- */

/* Without a list the card stands for the provider's host. */
static bool card_allows(const struct card *card, const char *text)
{
    const char *fallback = api_provider_host(card->api_provider);

    if (card->allowed_hosts.count == 0)
        return fallback && streq(fallback, text);
    return string_list_has(&card->allowed_hosts, text);
}

/* What is in force and not by the card. */
static json_t *live_to_json(const struct agent *agent)
{
    const struct agent_hosts *hosts = &agent->hosts;
    json_t *array = json_array();

    for (size_t i = 0; array && i < hosts->n_allowed; i++)
        if (!card_allows(agent->card, hosts->allowed[i]))
            (void)json_array_append_new(array, json_string(hosts->allowed[i]));
    for (size_t i = 0; array && i < hosts->n_denied; i++)
        if (!string_list_has(&agent->card->denied_hosts, hosts->denied[i]))
            (void)json_array_append_new(array, json_string(hosts->denied[i]));
    return array;
}

static json_t *refused_to_json(const struct refused_hosts *hosts)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < hosts->count; i++) {
        const struct refused_host *host = &hosts->items[i];
        json_t *item = json_pack("{s:s, s:i, s:s, s:I, s:I}", "host", host->host, "port",
                                 (int)host->port, "code", host->code, "count",
                                 (json_int_t)host->count, "last_usec", (json_int_t)host->last_usec);
        if (item && *host->address)
            (void)json_object_set_new(item, "address", json_string(host->address));
        (void)json_array_append_new(array, item);
    }
    return array;
}

/* The one of that host and port, or NULL. */
static json_t *find_held(const json_t *array, const struct held_request *held)
{
    json_t *item;
    size_t i;

    json_array_foreach (array, i, item)
        if (streq(json_string_value(json_object_get(item, "host")), held->host) &&
            json_integer_value(json_object_get(item, "port")) == held->port)
            return item;
    return NULL;
}

/* Requests for the same host and port are one, as one answer is for all of them. */
static json_t *held_to_json(const struct agent *agent)
{
    const struct held_requests *held = &agent->held_requests;
    json_int_t ask_usec = (json_int_t)agent->hosts.ask_seconds * 1000000;
    json_t *array = json_array();

    for (size_t i = 0; array && i < held->count; i++) {
        const struct held_request *one = &held->items[i];
        json_t *count = json_object_get(find_held(array, one), "count");
        if (count)
            (void)json_integer_set(count, json_integer_value(count) + 1);
        else
            (void)json_array_append_new(
                array,
                json_pack("{s:s, s:i, s:I, s:I, s:i}", "host", one->host, "port", (int)one->port,
                          "since_usec", (json_int_t)one->since_usec, "deadline_usec",
                          (json_int_t)one->since_usec + ask_usec, "count", 1));
    }
    return array;
}

static json_t *hosts_to_json(const struct agent *agent)
{
    json_t *hosts = json_pack(
        "{s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:I}", "allowed_hosts",
        agent_allowed_to_json(agent), "denied_hosts", agent_denied_to_json(agent), "private_hosts",
        agent_private_to_json(agent), "live", live_to_json(agent), "requests_allowed",
        (json_int_t)agent->allowed, "requests_refused", (json_int_t)agent->refused, "held",
        held_to_json(agent), "refused", refused_to_json(&agent->refused_hosts), "refused_lost",
        (json_int_t)agent->refused_hosts.lost);

    if (hosts && agent->hosts.ask_seconds > 0)
        (void)json_object_set_new(hosts, "ask_seconds", json_integer(agent->hosts.ask_seconds));
    return hosts;
}

void method_hosts(struct call *call)
{
    json_int_t owner = -1;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
    };

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    struct agent *agent = method_find_agent(call->connection, id, owner, POLICY_SEE);
    if (agent)
        connection_reply(call->connection, hosts_to_json(agent));
}
