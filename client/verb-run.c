/* cagectl run: an agent in the foreground, as if it were a command here: its output, our signals,
 * its exit status. It is stopped when this process ends, however that happens. */
#include "exit-status.h"
#include "follow.h"
#include "spawn.h"
#include "terminal.h"
#include "text.h"

static int run_spawned(const struct options *options, struct spawned *s)
{
    CLEANUP(forwarder_freep) struct forwarder *forwarder = NULL;
    struct follow f = {.connection = s->connection,
                       .socket = options->socket,
                       .agent = {s->agent.id, s->agent.owner_uid}};
    struct reply reply = {};
    struct agent agent;
    int status = STATUS_OK;
    int r = forwarder_new(options->socket, &f.agent, &forwarder);

    if (r < 0) {
        say("cannot receive signals: %s", strerror(-r));
        return STATUS_INTERNAL;
    }
    f.forwarder = forwarder;
    if (option_given(options, OPTION_TERMINAL))
        status = terminal_session(&f, TAKE_FD(s->terminal), &reply, &agent);
    else
        status = follow_logs(&f, true, NULL);
    if (status == STATUS_OK && !option_given(options, OPTION_TERMINAL))
        status = follow_wait(&f, &reply, &agent);
    if (status != STATUS_OK)
        return status;
    agent_say_end(&agent, s->file.card);
    status = agent_exit_status(&agent);
    reply_deinit(&reply);
    return status;
}

int verb_run(const struct options *options)
{
    struct spawned s;
    int status;

    if (option_given(options, OPTION_TERMINAL) && !isatty(STDIN_FILENO)) {
        say("standard input is not a terminal, which --terminal needs");
        say_hint("leave -t out, or run it from a terminal");
        return STATUS_USAGE;
    }
    status = spawn_agent(options, SPAWN_FOREGROUND, &s);
    if (status != STATUS_OK)
        return status;
    status = run_spawned(options, &s);
    spawned_deinit(&s);
    return status;
}
