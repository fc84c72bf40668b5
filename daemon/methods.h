/* The methods of the daemon as one table, and what they share. */
#pragma once

#include "connection.h"
#include "parameters.h"

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
void method_spawn(struct call *call);        /* method-spawn.c */
void method_reload(struct call *call);       /* method-reload.c */
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

/* The agent that a caller names, if it is the caller's to see: its own, or for root anybody's.
 * `owner` is negative where the call names none. NULL: an error was replied, the same for an agent
 * of somebody else as for one that never was. */
struct agent *method_find_agent(struct connection *connection, const char *agent_id,
                                json_int_t owner);

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

/* The error for hosts that could not be changed; `error` is a negative errno. */
void method_reply_reload_failed(struct connection *connection, const struct agent *agent,
                                int error);
