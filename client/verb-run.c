/* cagectl run: an agent in the foreground, as if it were a command here: its output, our signals,
 * its exit status. It is stopped when this process ends, however that happens. */
#include "asking.h"
#include "exit-status.h"
#include "follow.h"
#include "planted.h"
#include "spawn.h"
#include "terminal.h"
#include "text.h"

static int run_spawned(const struct options *options, struct spawned *s, struct asking *asking)
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
    if (asking)
        asking_attach(asking, forwarder);
    if (option_given(options, OPTION_TERMINAL))
        status = terminal_session(&f, TAKE_FD(s->terminal), &reply, &agent);
    else
        status = follow_logs(&f, true, NULL);
    if (status == STATUS_OK && !option_given(options, OPTION_TERMINAL))
        status = follow_wait(&f, &reply, &agent);
    if (status != STATUS_OK)
        return status;
    agent_say_end(&agent, s->file.card);
    r = planted_say(json_object_get(reply.parameters, "agent"));
    status = r < 0 ? connection_failed(s->connection, r) : agent_exit_status(&agent);
    reply_deinit(&reply);
    return status;
}

/* Only who sits at a terminal can be asked there; others look at Events or Hosts. */
static int listen(const struct options *options, const struct spawned *s, struct asking **ret)
{
    if (!option_given(options, OPTION_ASK) || !isatty(STDERR_FILENO))
        return STATUS_OK;
    return asking_new(options->socket, s->file.card->agent_id, options->ask,
                      option_given(options, OPTION_TERMINAL), ret);
}

int verb_run(const struct options *options)
{
    CLEANUP(asking_freep) struct asking *asking = NULL;
    struct spawned s;
    int status;

    if (option_given(options, OPTION_TERMINAL) && !isatty(STDIN_FILENO)) {
        say("standard input is not a terminal, which --terminal needs");
        say_hint("leave -t out, or run it from a terminal");
        return STATUS_USAGE;
    }
    status = spawn_read_card(options->arguments[0], &s);
    if (status == STATUS_OK)
        status = listen(options, &s, &asking);
    if (status == STATUS_OK)
        status = spawn_start(options, SPAWN_FOREGROUND, &s);
    if (status == STATUS_OK)
        status = run_spawned(options, &s, asking);
    spawned_deinit(&s);
    return status;
}
