/* The methods of the daemon as one table, and what they share. */
#pragma once

#include "server/connection.h"
#include "server/parameters.h"
#include "site-policy.h"

/* Finds and runs the method of a call; it replies now, or later by a pump. */
void methods_dispatch(struct connection *connection, const char *method, json_t *parameters,
                      struct varlink_message *message);

/* A call as a method sees it. All is borrowed until the method returns. */
struct call {
    struct connection *connection;
    const json_t *parameters; /* may be NULL */
    struct varlink_message *message;
};

/* The methods themselves, by file. */
void method_spawn(struct call *call);         /* method-spawn.c */
void method_reload(struct call *call);        /* method-reload.c */
void method_reload_policy(struct call *call); /* method-policy.c */
void method_explain_policy(struct call *call);
void method_change_hosts(struct call *call); /* method-hosts.c */
void method_hosts(struct call *call);
void method_stop(struct call *call); /* methods-agent.c */
void method_kill(struct call *call);
void method_list(struct call *call);
void method_inspect(struct call *call);
void method_history(struct call *call); /* methods-history.c */
void method_audit(struct call *call);
void method_logs(struct call *call); /* methods-follow.c */
void method_wait(struct call *call);
void method_events(struct call *call);
void method_get_info(struct call *call); /* varlink-service.c */
void method_get_interface_description(struct call *call);

/* Reads the call's parameters (parameters_read). False: an error was replied. */
bool method_read(struct call *call, const struct parameter *table, size_t n);

/* The agent that a caller names, for what needs this right: its own, for root anybody's, for others
 * what the policy grants them (access.h). `owner` is negative where the call names none: then it is
 * the caller's own, or the only one of that id that it may see. NULL: an error was replied, the
 * same for an agent that the caller may not see as for one that never was. method-find.c. */
struct agent *method_find_agent(struct connection *connection, const char *agent_id,
                                json_int_t owner, enum policy_right right);

/* The same for POLICY_SEE without a reply: 1 with *ret, 0 if there is none, or -ENOTUNIQ with a new
 * reference to an array of the owners of those that there are. */
int method_look_for_agent(const struct connection *connection, const char *agent_id,
                          json_int_t owner, struct agent **ret, json_t **ret_owners);
void method_reply_no_agent(struct connection *connection, const char *agent_id);
void method_reply_ambiguous(struct connection *connection, const char *agent_id,
                            json_t *owners /* taken */);

/* A card out of a call: 0, -EINVAL with *problem for method_reply_problem(), -ENOMEM. */
int method_take_card(json_t *json, struct card **ret, struct agent_problem *problem);

/* The descriptor that stands for a path of the card: the one of this index, which stays the
 * message's; or where the index is negative, for root alone, the path opened by us, which is then
 * *ret_opened too. 0, or -errno with *problem about `what`. */
int method_get_descriptor(struct call *call, json_int_t index, const char *path, int flags,
                          const char *what, int *ret, int *ret_opened,
                          struct agent_problem *problem);
void method_reply_problem(struct connection *connection, const struct agent_problem *problem);

/* The error for an agent that is not there any more, or not yet, to be dealt with. */
void method_reply_not_running(struct connection *connection, const struct agent *agent);

/* The error for what is over the agent's rule (NULL: it has none any more): `found` and `expected`
 * of `error` are told. */
void method_reply_over_rule(struct connection *connection, const struct policy_rule *rule,
                            const char *what, const struct card_error *error);

/* The error for hosts that could not be changed; `error` is a negative errno. */
void method_reply_reload_failed(struct connection *connection, const struct agent *agent,
                                int error);
