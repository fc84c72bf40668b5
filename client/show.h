/* Lines of an agent on their way to the printer: each once, in order, and what is missing between
 * them fetched from the journal. What even the journal has not got is told with the count. */
#pragma once

#include "follow.h"
#include "line-printer.h"
#include "sequel.h"

struct show {
    const struct follow *follow; /* borrowed */
    struct line_printer printer;
    struct sequel sequel;
    uint64_t last_usec; /* when the last line was written; 0: none yet */
    uint64_t n_shown;
    char no_journal[256]; /* why the journal could not help with the last gap; empty: it could */
    bool never_again;     /* nor will it with others */
};

void show_init(struct show *show, const struct follow *follow);
void show_deinit(struct show *show);

/* These return STATUS_OK, an exit status after telling the user, or -errno. */

/* The lines of a reply to Logs, and those that are missing before and between them. */
int show_reply(struct show *show, const json_t *parameters);

/* A line of the past: one that was shown is passed over, a gap before it in its run is told. */
int show_past(struct show *show, const struct agent_line *line);

/* After the last. */
int show_finish(struct show *show);
