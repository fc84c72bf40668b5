/* An agent's output (Logs) and its end (Wait). */
#include "follow.h"

#include "exit-status.h"
#include "past.h"
#include "remote-error.h"
#include "show.h"

/* -- the call -- */

static int send_logs_call(struct follow *f, bool follow, const uint32_t *lines)
{
    json_t *parameters = agent_name_to_json(&f->agent);

    if (parameters &&
        ((follow && json_object_set_new(parameters, "follow", json_true()) < 0) ||
         (lines && json_object_set_new(parameters, "lines", json_integer(*lines)) < 0))) {
        json_decref(parameters);
        return -ENOMEM;
    }
    return connection_send(f->connection, "io.caged.Logs", parameters, true, NULL, 0);
}

/* Sends it and waits for the first reply. */
static int begin(struct follow *f, bool follow, const uint32_t *lines, struct reply *ret)
{
    int r = send_logs_call(f, follow, lines);

    return r < 0 ? r : forwarder_receive(f->forwarder, f->connection, ret);
}

/* Shows a reply and those that follow; it is used up. STATUS_OK after the last, an exit status
 * after telling the user, or -errno. */
static int show_replies(struct follow *f, struct show *show, struct reply *reply)
{
    for (;;) {
        bool last = !reply->continues;
        int r = reply->error ? remote_error_say(reply) : show_reply(show, reply->parameters);
        reply_deinit(reply);
        if (last || r != STATUS_OK)
            return r;
        r = forwarder_receive(f->forwarder, f->connection, reply);
        if (r < 0)
            return r;
    }
}

/* What was begun comes to its end: tells about failures. */
static int end(struct follow *f, struct show *show, int r)
{
    if (r == STATUS_OK)
        r = show_finish(show);
    show_deinit(show);
    return r < 0 ? connection_failed(f->connection, r) : r;
}

/* -- the present run, or the last -- */

int follow_logs(struct follow *f, bool follow, const uint32_t *lines)
{
    struct reply reply = {};
    struct show show;
    int r = begin(f, follow, lines, &reply);

    show_init(&show, f);
    if (r == 0)
        r = show_replies(f, &show, &reply);
    return end(f, &show, r);
}

/* The last run of an agent that the daemon does not know, or what the daemon said. */
static int show_forgotten(struct follow *f, struct show *show, const uint32_t *lines,
                          const struct reply *reply)
{
    char run[INVOCATION_ID_LENGTH + 1];
    const struct past past = {.invocation_id = run, .lines = lines ? *lines : AGENT_NONE};
    int r = past_find_last_run(f, run);

    if (r != STATUS_OK)
        return r;
    if (!run[0])
        return remote_error_say(reply);
    if (!lines) /* all, so that a missing beginning is told too */
        r = sequel_set(&show->sequel, run, 1);
    return r == 0 ? past_show(show, &past) : r;
}

int follow_logs_or_past(struct follow *f, bool follow, const uint32_t *lines)
{
    struct reply reply = {};
    struct show show;
    int r = begin(f, follow, lines, &reply);

    show_init(&show, f);
    if (r == 0 && remote_error_is(&reply, "NoSuchAgent"))
        r = show_forgotten(f, &show, lines, &reply);
    else if (r == 0)
        r = show_replies(f, &show, &reply);
    reply_deinit(&reply);
    return end(f, &show, r);
}

/* -- times -- */

/* Nothing was shown: is there an agent of this id, or was there one? */
static int check_agent(struct follow *f, const struct reply *reply)
{
    char run[INVOCATION_ID_LENGTH + 1];
    int r = STATUS_OK;

    if (!reply->error)
        return STATUS_OK;
    if (remote_error_is(reply, "NoSuchAgent"))
        r = past_find_last_run(f, run);
    return r != STATUS_OK || run[0] ? r : remote_error_say(reply);
}

/* The call to Logs comes first: what is put out after it will come by it, and what was put out
 * before is in the journal by the time that History answers. Lines that come both ways are shown
 * once. */
int follow_times(struct follow *f, const char *since, const char *until, bool follow,
                 const uint32_t *lines)
{
    const struct past past = {.since = since, .until = until, .lines = lines ? *lines : AGENT_NONE};
    const uint32_t none = 0;
    struct reply reply = {};
    struct show show;
    int r = begin(f, follow, &none, &reply);

    show_init(&show, f);
    if (r == 0 && reply.error && !remote_error_is(&reply, "NoSuchAgent"))
        r = remote_error_say(&reply);
    if (r == 0)
        r = past_show(&show, &past);
    if (r == STATUS_OK && show.n_shown == 0)
        r = check_agent(f, &reply);
    if (r == STATUS_OK && follow && !reply.error)
        r = show_replies(f, &show, &reply);
    reply_deinit(&reply);
    return end(f, &show, r);
}

/* -- the end -- */

int follow_wait(struct follow *f, struct reply *ret_reply, struct agent *ret_agent)
{
    struct reply reply = {};
    int r = connection_send(f->connection, "io.caged.Wait", agent_name_to_json(&f->agent), false,
                            NULL, 0);

    if (r == 0)
        r = forwarder_receive(f->forwarder, f->connection, &reply);
    if (r < 0)
        return connection_failed(f->connection, r);
    if (reply.error) {
        r = remote_error_say(&reply);
    } else {
        r = agent_from_parameters(reply.parameters, ret_agent);
        if (r == 0) {
            *ret_reply = reply;
            return STATUS_OK;
        }
        r = connection_failed(f->connection, r);
    }
    reply_deinit(&reply);
    return r;
}
