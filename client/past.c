/* What an agent put out before now, from the journal alone. */
#include "past.h"

#include <inttypes.h>

#include "exit-status.h"
#include "history.h"
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

/* The last lines of what comes, of which nobody knows how much it will be: a ring. */
struct pile {
    struct show *show;
    uint64_t max; /* AGENT_NONE: nothing is kept, all is shown at once */
    struct agent_line *lines;
    size_t first, n_lines, allocated;
};

static void pile_deinit(struct pile *pile)
{
    for (size_t i = 0; i < pile->n_lines; i++)
        agent_line_deinit(&pile->lines[i]);
    free(pile->lines);
}

static int keep(struct pile *pile, struct agent_line *line)
{
    struct agent_line *slot;

    if (pile->max == 0)
        return 0;
    if (pile->n_lines < pile->max && pile->n_lines == pile->allocated) {
        size_t n = MAX_OF(pile->allocated * 2, (size_t)64);
        struct agent_line *more = reallocarray(pile->lines, n, sizeof(*more));
        if (!more)
            return -ENOMEM;
        pile->lines = more;
        pile->allocated = n;
    }
    if (pile->n_lines < pile->max) {
        slot = &pile->lines[pile->n_lines++];
    } else {
        slot = &pile->lines[pile->first];
        agent_line_deinit(slot);
        pile->first = (pile->first + 1) % pile->n_lines;
    }
    *slot = *line;
    *line = (struct agent_line){};
    return 0;
}

static int take_line(void *user, struct agent_line *line)
{
    struct pile *pile = user;

    return pile->max == AGENT_NONE ? show_past(pile->show, line) : keep(pile, line);
}

static int show_kept(struct pile *pile)
{
    int r = STATUS_OK;

    for (size_t i = 0; r == STATUS_OK && i < pile->n_lines; i++)
        r = show_past(pile->show, &pile->lines[(pile->first + i) % pile->n_lines]);
    return r;
}

int past_show(struct show *show, const struct past *past)
{
    bool bounded = past->since || past->until;
    CLEANUP(pile_deinit)
    struct pile pile = {.show = show, .max = bounded ? past->lines : AGENT_NONE};
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
