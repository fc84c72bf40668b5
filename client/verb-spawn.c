/* cagectl spawn: starts an agent that lives on without cagectl. */
#include <stdio.h>

#include "exit-status.h"
#include "follow.h"
#include "output.h"
#include "planted.h"
#include "spawn.h"
#include "text.h"

static int print_spawned(const struct options *options, const struct spawned *s)
{
    if (option_given(options, OPTION_JSON))
        return output_json_line(json_object_get(s->reply.parameters, "agent"));
    if (option_given(options, OPTION_QUIET) || option_given(options, OPTION_FOLLOW))
        return STATUS_OK;
    text_print(stdout, s->agent.id);
    (void)fputc(' ', stdout);
    text_print(stdout, s->agent.state);
    (void)fputc('\n', stdout);
    return output_flush();
}

/* Waits for the end; prints it with --json, and always says what was out of the ordinary. */
static int wait_for_end(const struct options *options, struct spawned *s, struct follow *f)
{
    struct reply reply = {};
    struct agent agent;
    int status = follow_wait(f, &reply, &agent);

    if (status != STATUS_OK)
        return status;
    const json_t *json = json_object_get(reply.parameters, "agent");
    if (option_given(options, OPTION_JSON))
        status = output_json_line(json);
    agent_say_end(&agent, s->file.card);
    int r = planted_say(json);
    if (r < 0)
        status = connection_failed(s->connection, r);
    if (status == STATUS_OK)
        status = agent_exit_status(&agent);
    reply_deinit(&reply);
    return status;
}

int verb_spawn(const struct options *options)
{
    bool follow = option_given(options, OPTION_FOLLOW);
    struct spawned s;
    int status;

    if (follow && option_given(options, OPTION_JSON)) {
        say("--follow shows the agent's own output: it cannot be combined with --json");
        say_hint("try 'cagectl help spawn'");
        return STATUS_USAGE;
    }
    status = spawn_agent(options, SPAWN_BACKGROUND, &s);
    if (status != STATUS_OK)
        return status;
    status = print_spawned(options, &s);
    struct follow f = {.connection = s.connection,
                       .socket = options->socket,
                       .agent = {s.agent.id, s.agent.owner_uid}};
    if (status == STATUS_OK && follow)
        status = follow_logs(&f, true, NULL);
    if (status == STATUS_OK && (follow || option_given(options, OPTION_WAIT)))
        status = wait_for_end(options, &s, &f);
    spawned_deinit(&s);
    return status;
}
