/* cagectl stop: SIGTERM, a time of grace, then the end by force; and waiting for it. */
#include <stdio.h>

#include "exit-status.h"
#include "field.h"
#include "follow.h"
#include "options.h"
#include "remote-error.h"
#include "target.h"
#include "text.h"

/* With --all an agent that ended meanwhile is no failure. */
static bool is_gone(const struct reply *reply)
{
    return remote_error_is(reply, "NoSuchAgent") || remote_error_is(reply, "NotRunning");
}

static json_t *stop_parameters(const struct options *options, const struct agent_name *name)
{
    json_t *parameters = agent_name_to_json(name);

    if (parameters && option_given(options, OPTION_GRACE) &&
        json_object_set_new(parameters, "grace_seconds", json_integer(options->grace)) < 0) {
        json_decref(parameters);
        return NULL;
    }
    return parameters;
}

static int stop_one(const struct options *options, struct connection *connection,
                    const struct agent_name *name)
{
    json_t *parameters = stop_parameters(options, name);
    struct reply reply = {};
    int status = STATUS_OK;
    int r = connection_send(connection, "io.caged.Stop", parameters, false, NULL, 0);

    if (r == 0)
        r = connection_receive(connection, &reply);
    if (r < 0)
        return connection_failed(connection, r);
    if (reply.error && !(option_given(options, OPTION_ALL) && is_gone(&reply)))
        status = remote_error_say(&reply);
    reply_deinit(&reply);
    return status;
}

static int wait_one(struct connection *connection, const struct agent_name *name)
{
    struct follow f = {.connection = connection, .agent = *name};
    struct reply reply = {};
    struct agent agent;
    int status = follow_wait(&f, &reply, &agent);

    if (status == STATUS_OK)
        reply_deinit(&reply);
    return status;
}

/* All are told to stop before the first is waited for, so that the times of grace run together.
 * One that cannot be stopped does not save the others; the first failure is the exit status. */
static int stop_many(const struct options *options, struct connection *connection,
                     const struct agent_name *names, size_t n)
{
    AUTO_FREE bool *told = calloc(n + 1, sizeof(*told));
    int status = STATUS_OK;

    if (!told)
        return connection_failed(connection, -ENOMEM);
    for (size_t i = 0; i < n; i++) {
        int s = stop_one(options, connection, &names[i]);
        told[i] = s == STATUS_OK;
        status = status == STATUS_OK ? s : status;
    }
    for (size_t i = 0; i < n && !option_given(options, OPTION_NO_WAIT); i++) {
        int s = told[i] ? wait_one(connection, &names[i]) : STATUS_OK;
        status = status == STATUS_OK ? s : status;
    }
    return status;
}

/* The agents of this user, or of all (AGENT_NONE), that the caller sees; their ids are borrowed
 * from the reply. */
static int names_from_list(const json_t *parameters, uint64_t owner_uid, struct agent_name **ret,
                           size_t *ret_n)
{
    size_t n = 0;
    json_t *agents;
    const json_t *json;
    size_t i;

    if (field_array(parameters, "agents", &agents) < 0)
        return -EPROTO;
    AUTO_FREE struct agent_name *names = calloc(json_array_size(agents) + 1, sizeof(*names));
    if (!names)
        return -ENOMEM;
    json_array_foreach (agents, i, json) {
        struct agent agent;
        if (agent_from_json(json, &agent) < 0)
            return -EPROTO;
        if (owner_uid == AGENT_NONE || agent.owner_uid == owner_uid)
            names[n++] = (struct agent_name){agent.id, agent.owner_uid};
    }
    *ret_n = n;
    *ret = TAKE_PTR(names);
    return 0;
}

/* Of who sees agents of others, too, all are its own: only root has to mean everybody's. */
static int stop_all(const struct options *options, struct connection *connection)
{
    AUTO_FREE struct agent_name *names = NULL;
    struct agent_name whose;
    struct reply reply = {};
    size_t n;
    int status = target_from_options(options, NULL, &whose);

    if (status == STATUS_OK)
        status = connection_call(connection, "io.caged.List", json_object(), &reply);
    if (status != STATUS_OK)
        return status;
    if (whose.owner_uid == AGENT_NONE && geteuid() != 0)
        whose.owner_uid = geteuid();
    int r = names_from_list(reply.parameters, whose.owner_uid, &names, &n);
    status = r < 0 ? connection_failed(connection, r) : stop_many(options, connection, names, n);
    reply_deinit(&reply);
    return status;
}

static int stop_named(const struct options *options, struct connection *connection)
{
    AUTO_FREE struct agent_name *names = calloc(options->n_arguments, sizeof(*names));

    if (!names)
        return connection_failed(connection, -ENOMEM);
    for (size_t i = 0; i < options->n_arguments; i++) {
        int status = target_from_options(options, options->arguments[i], &names[i]);
        if (status != STATUS_OK)
            return status;
    }
    return stop_many(options, connection, names, options->n_arguments);
}

int verb_stop(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    bool all = option_given(options, OPTION_ALL);
    int status;

    if (all == (options->n_arguments > 0)) {
        say("'stop' needs either ids of agents or --all");
        say_hint("try 'cagectl help stop'");
        return STATUS_USAGE;
    }
    status = connection_open_or_say(options->socket, &connection);
    if (status != STATUS_OK)
        return status;
    return all ? stop_all(options, connection) : stop_named(options, connection);
}
