/* Lines of an agent on their way to the printer. */
#include "show.h"

#include <inttypes.h>
#include <stdio.h>

#include "exit-status.h"
#include "field.h"
#include "history.h"
#include "remote-error.h"
#include "text.h"

/* How much before the last line that was shown the missing ones are looked for: clocks are set. */
#define MARGIN_SECONDS 2
#define MARGIN_LINES 1000
#define STOP (-ECANCELED) /* of a taker: enough */

void show_init(struct show *show, const struct follow *follow)
{
    *show = (struct show){.follow = follow};
    line_printer_init(&show->printer, follow->forwarder, follow->form);
}

void show_deinit(struct show *show)
{
    line_printer_deinit(&show->printer);
    sequel_deinit(&show->sequel);
}

int show_finish(struct show *show)
{
    int r = line_printer_flush(&show->printer);

    return r == STATUS_OK ? line_printer_finish(&show->printer) : r;
}

static int print(struct show *show, const struct agent_line *line)
{
    int r = line_printer_print(&show->printer, line);

    if (r != STATUS_OK)
        return r;
    show->last_usec = line->time_usec;
    show->n_shown++;
    return sequel_set(&show->sequel, line->invocation_id, line->sequence + 1);
}

/* Says in its place that lines are missing, and goes on behind them. */
static int tell_lost(struct show *show, const char *invocation_id, uint64_t next)
{
    uint64_t n = next - sequel_next(&show->sequel, invocation_id);
    int r = line_printer_flush(&show->printer);

    if (r != STATUS_OK)
        return r;
    if (show->no_journal[0])
        say("%" PRIu64 " line%s lost here: not in the daemon's memory any more, and %s", n,
            n == 1 ? "" : "s", show->no_journal);
    else
        say("%" PRIu64 " line%s lost here: neither the daemon nor the journal has %s", n,
            n == 1 ? "" : "s", n == 1 ? "it" : "them");
    return sequel_set(&show->sequel, invocation_id, next);
}

int show_past(struct show *show, const struct agent_line *line)
{
    int r = STATUS_OK;

    switch (sequel_place(&show->sequel, line->invocation_id, line->sequence)) {
    case SEQUEL_SEEN:
        return STATUS_OK;
    case SEQUEL_GAP:
        r = tell_lost(show, line->invocation_id, line->sequence);
        break;
    case SEQUEL_NEXT:
        break;
    }
    return r == STATUS_OK ? print(show, line) : r;
}

/* -- what is missing -- */

struct gap {
    struct show *show;
    uint64_t end; /* the first sequence that is there again */
    bool strict;  /* stops at a gap within: the rest is looked for elsewhere */
};

static int take_missing(void *user, struct agent_line *line)
{
    struct gap *gap = user;
    enum sequel_place place = sequel_place(&gap->show->sequel, line->invocation_id, line->sequence);

    if (line->sequence >= gap->end || (gap->strict && place == SEQUEL_GAP))
        return STOP;
    int r = show_past(gap->show, line);
    return r == STATUS_OK && line->sequence + 1 == gap->end ? STOP : r;
}

/* What the daemon said about a history that was to close a gap. */
static void take_verdict(struct show *show, const struct reply *reply)
{
    const char *reason = NULL;

    if (!reply->error)
        return;
    (void)field_string_optional(reply->parameters, "reason", &reason);
    show->never_again = remote_error_is(reply, "NotSupported");
    if (show->never_again && reason)
        (void)snprintf(show->no_journal, sizeof(show->no_journal), "%s", reason);
    else
        (void)snprintf(show->no_journal, sizeof(show->no_journal), "the journal cannot be read: %s",
                       reason ? reason : reply->error);
}

static int fetch(struct gap *gap, const struct history_query *query)
{
    struct history_result result;
    int r = history_read(query, take_missing, gap, &result);

    if (r == STOP)
        return STATUS_OK;
    if (r == 0) {
        take_verdict(gap->show, &result.reply);
        history_result_deinit(&result);
    }
    return r;
}

/* First where the missing lines should be, which is quick; what is not found there, in all that the
 * journal has of the run. */
static int close_gap(struct show *show, const char *invocation_id, uint64_t end, uint64_t newest)
{
    uint64_t next = sequel_next(&show->sequel, invocation_id);
    struct gap gap = {.show = show, .end = end, .strict = true};
    struct history_query query = {
        .socket = show->follow->socket,
        .agent = &show->follow->agent,
        .invocation_id = invocation_id,
        .lines = AGENT_NONE,
        .forwarder = show->follow->forwarder,
    };
    char since[32];
    int r = STATUS_OK;

    if (!show->never_again)
        show->no_journal[0] = 0;
    if (show->last_usec / 1000000 > MARGIN_SECONDS) {
        (void)snprintf(since, sizeof(since), "@%" PRIu64,
                       show->last_usec / 1000000 - MARGIN_SECONDS);
        query.since = since;
    } else if (next > 1) {
        query.lines = newest - next + (newest - next) / 4 + MARGIN_LINES;
    }
    if (!show->no_journal[0] && next > 1)
        r = fetch(&gap, &query);
    query.since = NULL;
    query.lines = AGENT_NONE;
    gap.strict = false;
    if (r == STATUS_OK && !show->no_journal[0] && sequel_next(&show->sequel, invocation_id) < end)
        r = fetch(&gap, &query);
    if (r == STATUS_OK && sequel_next(&show->sequel, invocation_id) < end)
        r = tell_lost(show, invocation_id, end);
    return r;
}

/* -- replies to Logs -- */

struct lines_reply {
    const char *invocation_id;
    json_t *lines;
    uint64_t start, next;
};

static int read_reply(const json_t *parameters, struct lines_reply *ret)
{
    struct lines_reply reply = {};
    uint64_t lost, first = 0;

    if (field_string(parameters, "invocation_id", &reply.invocation_id) < 0 ||
        !invocation_id_is_sane(reply.invocation_id) ||
        field_array(parameters, "lines", &reply.lines) < 0 ||
        field_u64(parameters, "lost", &lost) < 0 ||
        field_u64(parameters, "next_sequence", &reply.next) < 0)
        return -EPROTO;
    if (json_array_size(reply.lines) > 0 &&
        field_u64(json_array_get(reply.lines, 0), "sequence", &first) < 0)
        return -EPROTO;
    int r = sequel_reply_start(reply.next, lost, json_array_size(reply.lines), first, &reply.start);
    if (r == 0)
        *ret = reply;
    return r;
}

static int show_live(struct show *show, const struct lines_reply *reply, const json_t *json)
{
    struct agent_line line;
    int r = agent_line_from_json(json, reply->invocation_id, &line);

    if (r < 0)
        return r;
    if (line.sequence >= reply->next)
        r = -EPROTO;
    else if (sequel_place(&show->sequel, line.invocation_id, line.sequence) == SEQUEL_GAP)
        r = close_gap(show, line.invocation_id, line.sequence, reply->next);
    if (r == STATUS_OK &&
        sequel_place(&show->sequel, line.invocation_id, line.sequence) != SEQUEL_SEEN)
        r = print(show, &line);
    agent_line_deinit(&line);
    return r;
}

int show_reply(struct show *show, const json_t *parameters)
{
    struct lines_reply reply = {};
    json_t *json;
    size_t i;
    int r = read_reply(parameters, &reply);

    if (r == 0 && sequel_next(&show->sequel, reply.invocation_id) == 0)
        r = sequel_set(&show->sequel, reply.invocation_id, reply.start);
    if (r < 0)
        return r;
    json_array_foreach (reply.lines, i, json) {
        r = show_live(show, &reply, json);
        if (r != STATUS_OK)
            return r;
    }
    if (sequel_next(&show->sequel, reply.invocation_id) < reply.next)
        r = close_gap(show, reply.invocation_id, reply.next, reply.next);
    return r == STATUS_OK ? line_printer_flush(&show->printer) : r;
}
