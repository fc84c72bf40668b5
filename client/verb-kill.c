/* cagectl kill: a signal to the agent, or the end of everything in its cage. */
#include <signal.h>

#include "connection.h"
#include "exit-status.h"
#include "options.h"
#include "target.h"

/* Without a signal, or with SIGKILL, the daemon kills all that is in the cage. */
static json_t *kill_parameters(const struct options *options, const struct agent_name *name)
{
    int signal = option_given(options, OPTION_SIGNAL) ? options->signal : SIGKILL;
    json_t *parameters = agent_name_to_json(name);

    if (parameters && json_object_set_new(parameters, "signal", json_integer(signal)) < 0) {
        json_decref(parameters);
        return NULL;
    }
    return parameters;
}

static int kill_one(const struct options *options, struct connection *connection, const char *id)
{
    struct agent_name name;
    struct reply reply = {};
    int status = target_from_options(options, id, &name);

    if (status == STATUS_OK)
        status =
            connection_call(connection, "io.caged.Kill", kill_parameters(options, &name), &reply);
    if (status == STATUS_OK)
        reply_deinit(&reply);
    return status;
}

int verb_kill(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    int status = connection_open_or_say(options->socket, &connection);

    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < options->n_arguments; i++) {
        int s = kill_one(options, connection, options->arguments[i]);
        status = status == STATUS_OK ? s : status;
    }
    return status;
}
