/* What an agent put out before now, from the journal alone. */
#include "past.h"

#include <inttypes.h>

#include "exit-status.h"
#include "history.h"
#include "last-items.h"
#include "remote-error.h"
#include "text.h"

static struct history_query query_of(const struct follow *follow, const struct past *past)
{
    return (struct history_query){
        .socket = follow->socket,
        .agent = &follow->agent,
        .invocation_id = past->invocation_id,
        .since = past->since,
        .until = past->until,
        .lines = past->lines,
        .forwarder = follow->forwarder,
    };
}

/* -- what was asked for -- */

struct pile {
    struct show *show;
    bool all; /* nothing is kept, each line is shown at once */
    struct last_items last;
};

static void pile_deinit(struct pile *pile)
{
    last_items_deinit(&pile->last);
}

static void line_deinit(void *line)
{
    agent_line_deinit(line);
}

static int take_line(void *user, struct agent_line *line)
{
    struct pile *pile = user;

    return pile->all ? show_past(pile->show, line) : last_items_keep(&pile->last, line);
}

static int show_kept(const struct pile *pile)
{
    int r = STATUS_OK;

    for (size_t i = 0; r == STATUS_OK && i < pile->last.count; i++)
        r = show_past(pile->show, last_items_get(&pile->last, i));
    return r;
}

int past_show(struct show *show, const struct past *past)
{
    bool bounded = past->since || past->until;
    CLEANUP(pile_deinit)
    struct pile pile = {
        .show = show,
        .all = !bounded || past->lines == AGENT_NONE,
        .last = {.max = past->lines, .item_size = sizeof(struct agent_line), .deinit = line_deinit},
    };
    struct history_query query = query_of(show->follow, past);
    struct history_result result;

    if (bounded)
        query.lines = AGENT_NONE;
    int r = history_read(&query, take_line, &pile, &result);

    if (r != 0)
        return r;
    r = show_kept(&pile);
    if (r == STATUS_OK)
        r = line_printer_flush(&show->printer);
    if (r == STATUS_OK && result.reply.error)
        r = history_say_failure(
            &query, &result.reply,
            "without --since and --until there is what the daemon has in memory");
    else if (r == STATUS_OK && result.n_not_understood > 0)
        say("%" PRIu64 " entries of the journal are not shown: they are not what cagedd writes",
            result.n_not_understood);
    history_result_deinit(&result);
    return r;
}

/* -- the last run -- */

static int take_run(void *user, struct agent_line *line)
{
    memcpy(user, line->invocation_id, sizeof(line->invocation_id));
    return 0;
}

int past_find_last_run(const struct follow *follow, char invocation_id[INVOCATION_ID_LENGTH + 1])
{
    const struct past past = {.lines = 1};
    const struct history_query query = query_of(follow, &past);
    struct history_result result;
    int r;

    invocation_id[0] = 0;
    r = history_read(&query, take_run, invocation_id, &result);
    if (r != 0)
        return r;
    if (result.reply.error && !remote_error_is(&result.reply, "NotSupported"))
        r = remote_error_say(&result.reply);
    history_result_deinit(&result);
    return r;
}
