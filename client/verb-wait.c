/* cagectl wait: waits for the end of agents; exits with the first status that is not 0. */
#include <stdio.h>

#include "exit-status.h"
#include "follow.h"
#include "options.h"
#include "output.h"
#include "planted.h"
#include "target.h"
#include "text.h"

static int print_end(const struct options *options, const struct reply *reply,
                     const struct agent *agent)
{
    char text[1024];

    if (option_given(options, OPTION_JSON))
        return output_json_line(json_object_get(reply->parameters, "agent"));
    if (option_given(options, OPTION_QUIET))
        return STATUS_OK;
    agent_end_format(agent, NULL, text, sizeof(text));
    text_print(stdout, agent->id);
    (void)printf(" ended: ");
    text_print(stdout, text);
    (void)putchar('\n');
    return output_flush();
}

static int wait_one(const struct options *options, struct connection *connection, const char *id)
{
    struct follow f = {.connection = connection};
    struct reply reply = {};
    struct agent agent;
    int status = target_from_options(options, id, &f.agent);

    if (status == STATUS_OK)
        status = follow_wait(&f, &reply, &agent);
    if (status != STATUS_OK)
        return status;
    status = print_end(options, &reply, &agent);
    if (status == STATUS_OK && !option_given(options, OPTION_JSON) &&
        planted_say(json_object_get(reply.parameters, "agent")) < 0)
        status = connection_failed(connection, -EPROTO);
    if (status == STATUS_OK)
        status = agent_exit_status(&agent);
    reply_deinit(&reply);
    return status;
}

int verb_wait(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    int status = connection_open_or_say(options->socket, &connection);

    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < options->n_arguments; i++) {
        int s = wait_one(options, connection, options->arguments[i]);
        status = status == STATUS_OK ? s : status;
    }
    return status;
}
