/* The table of methods and the dispatch. */
#include "server/methods.h"

#include "policy/policy-store.h"

/* Who may call: everybody who can connect, or those whom the daemon serves (root and the group). */
enum audience { ANYBODY, USERS };

static const struct method {
    const char *interface, *name;
    enum audience audience;
    void (*run)(struct call *call);
    enum { AT_ONCE, LATER, URGENT } answered; /* urgent: however much its user left unread */
} methods[] = {
    {"org.varlink.service", "GetInfo", ANYBODY, method_get_info},
    {"org.varlink.service", "GetInterfaceDescription", ANYBODY, method_get_interface_description},
    {"io.caged", "Spawn", USERS, method_spawn, LATER},
    {"io.caged", "Reload", USERS, method_reload, LATER},
    {"io.caged", "ReloadPolicy", USERS, method_reload_policy, LATER},
    {"io.caged", "ExplainPolicy", USERS, method_explain_policy},
    {"io.caged", "ChangeHosts", USERS, method_change_hosts, LATER},
    {"io.caged", "Hosts", USERS, method_hosts},
    {"io.caged", "Stop", USERS, method_stop, URGENT},
    {"io.caged", "Kill", USERS, method_kill, URGENT},
    {"io.caged", "List", USERS, method_list},
    {"io.caged", "Inspect", USERS, method_inspect},
    {"io.caged", "Logs", USERS, method_logs, LATER},
    {"io.caged", "History", USERS, method_history, LATER},
    {"io.caged", "Audit", USERS, method_audit, LATER},
    {"io.caged", "Wait", USERS, method_wait, LATER},
    {"io.caged", "Events", USERS, method_events, LATER},
};

static bool is_user(const struct connection *c)
{
    return c->peer.uid == 0 ||
           (c->manager->have_group && peer_in_group(&c->peer, c->manager->group));
}

static bool is_let_in_from_anywhere(const struct connection *c)
{
    const struct policy_rule *rule = policy_store_rule(c->manager->policy, &c->peer);

    return rule && rule->namespaced_peers;
}

/* Whether the caller may have its method done. False: an error was replied. */
static bool admit(struct connection *c, const char *method)
{
    const char *reason = NULL;

    if (c->place != PEER_PLACE_HOST && !is_let_in_from_anywhere(c))
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

/* Whether the call is one over a limit of the daemon; then that was replied. */
static bool is_too_much(struct connection *c, const struct method *method)
{
    struct load_limit limit = {};

    if (method->answered != URGENT)
        limit = client_load_find_pressure(&c->load);
    if (!limit.limit && method->answered == LATER)
        limit = client_load_begin_call(&c->load);
    if (limit.limit)
        connection_busy(c, limit);
    return limit.limit;
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
    if (method && is_too_much(c, method))
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
