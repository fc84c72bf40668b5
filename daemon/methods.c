/* The table of methods and the dispatch. */
#include "methods.h"

#include "log.h"

/* Who may call: everybody who can connect, or those whom the daemon serves (root and the group). */
enum audience { ANYBODY, USERS };

static const struct method {
    const char *interface, *name;
    enum audience audience;
    void (*run)(struct call *call);
} methods[] = {
    {"org.varlink.service", "GetInfo", ANYBODY, method_get_info},
    {"org.varlink.service", "GetInterfaceDescription", ANYBODY, method_get_interface_description},
    {"io.caged", "Spawn", USERS, method_spawn},
    {"io.caged", "Reload", USERS, method_reload},
    {"io.caged", "ChangeHosts", USERS, method_change_hosts},
    {"io.caged", "Hosts", USERS, method_hosts},
    {"io.caged", "Stop", USERS, method_stop},
    {"io.caged", "Kill", USERS, method_kill},
    {"io.caged", "List", USERS, method_list},
    {"io.caged", "Inspect", USERS, method_inspect},
    {"io.caged", "Logs", USERS, method_logs},
    {"io.caged", "History", USERS, method_history},
    {"io.caged", "Audit", USERS, method_audit},
    {"io.caged", "Wait", USERS, method_wait},
    {"io.caged", "Events", USERS, method_events},
};

static bool is_user(const struct connection *c)
{
    return c->peer.uid == 0 ||
           (c->manager->have_group && peer_in_group(&c->peer, c->manager->group));
}

/* Whether the caller may have its method done. False: an error was replied. */
static bool admit(struct connection *c, const char *method)
{
    const char *reason = NULL;

    if (c->place != PEER_PLACE_HOST)
        reason = peer_place_reason(c->place);
    else if (!is_user(c))
        reason = "you are neither root nor in the group that may use caged";
    if (reason)
        connection_error(c, "io.caged.NotPermitted",
                         json_pack("{s:s, s:s}", "what", method, "reason", reason));
    return !reason;
}

static const struct method *find(const char *interface, size_t length, const char *name,
                                 bool *ret_interface_known)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        if (strlen(methods[i].interface) != length ||
            strncmp(methods[i].interface, interface, length) != 0)
            continue;
        *ret_interface_known = true;
        if (streq(methods[i].name, name))
            return &methods[i];
    }
    return NULL;
}

void methods_dispatch(struct connection *c, const char *name, json_t *parameters,
                      struct varlink_message *message)
{
    struct call call = {.connection = c, .parameters = parameters, .message = message};
    const char *dot = strrchr(name, '.');
    bool interface_known = false;
    const struct method *method =
        dot ? find(name, (size_t)(dot - name), dot + 1, &interface_known) : NULL;

    if (method && method->audience == USERS && !admit(c, name))
        return;
    if (method)
        method->run(&call);
    else if (interface_known)
        connection_error(c, "org.varlink.service.MethodNotFound",
                         json_pack("{s:s}", "method", name));
    else
        connection_error(
            c, "org.varlink.service.InterfaceNotFound",
            json_pack("{s:s%}", "interface", name, dot ? (size_t)(dot - name) : strlen(name)));
}

bool method_read(struct call *call, const struct parameter *table, size_t n)
{
    const char *bad;

    if (parameters_read(call->parameters, table, n, &bad) >= 0)
        return true;
    connection_invalid(call->connection, bad);
    return false;
}

/* -- finding an agent -- */

static struct agent *not_found(struct connection *c, const char *agent_id)
{
    connection_error(c, "io.caged.NoSuchAgent", json_pack("{s:s}", "agent_id", agent_id));
    return NULL;
}

/* For root without an owner: the only one of that id in the list, or how many there are. */
static size_t find_any(const struct agent_list *list, const char *agent_id, struct agent **ret,
                       json_t *owners)
{
    struct agent *agent;
    size_t n = 0;

    TAILQ_FOREACH (agent, list, entry) {
        if (!streq(agent->card->agent_id, agent_id) || (*ret && (*ret)->owner == agent->owner))
            continue;
        (void)json_array_append_new(owners, json_integer(agent->owner));
        *ret = agent;
        n++;
    }
    return n;
}

static struct agent *find_for_root(struct connection *c, const char *agent_id)
{
    struct agent *agent = manager_find(c->manager, 0, agent_id);
    json_t *owners = json_array();
    size_t n;

    if (agent && agent->state != AGENT_ENDED) {
        json_decref(owners);
        return agent;
    }
    agent = NULL;
    n = find_any(&c->manager->live, agent_id, &agent, owners);
    if (n == 0)
        n = find_any(&c->manager->ended, agent_id, &agent, owners);
    if (n > 1) {
        connection_error(c, "io.caged.Ambiguous",
                         json_pack("{s:s, s:O}", "agent_id", agent_id, "owners", owners));
        agent = NULL;
    } else if (n == 1) {
        agent = manager_find(c->manager, agent->owner, agent_id);
    } else {
        agent = not_found(c, agent_id);
    }
    json_decref(owners);
    return agent;
}

struct agent *method_find_agent(struct connection *c, const char *agent_id, json_int_t owner)
{
    struct agent *agent;

    if (c->peer.uid == 0 && owner < 0)
        return find_for_root(c, agent_id);
    if (owner > (json_int_t)UINT32_MAX ||
        (c->peer.uid != 0 && owner >= 0 && owner != (json_int_t)c->peer.uid))
        return not_found(c, agent_id);
    agent = manager_find(c->manager, owner >= 0 ? (uid_t)owner : c->peer.uid, agent_id);
    return agent ? agent : not_found(c, agent_id);
}
