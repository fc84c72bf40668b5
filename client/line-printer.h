/* Lines of an agent's output on our own: as the agent wrote them, each on our stdout or stderr,
 * byte by byte the same, but for a terminal, where what it would obey is made visible. Or in
 * another form. */
#pragma once

#include <stdbool.h>

#include "agent-line.h"
#include "forwarder.h"
#include "line-form.h"
#include "terminal-filter.h"

struct line_printer {
    struct forwarder *forwarder; /* borrowed; NULL: signals are not passed on */
    enum line_form form;
    struct line_stream {
        int fd;
        bool is_terminal;
        bool open; /* the last line had no end */
        struct terminal_filter filter;
    } streams[2];
    struct line_stream *current; /* whose bytes are gathered; all but LINE_CAT: stdout */
    char invocation_id[INVOCATION_ID_LENGTH + 1]; /* of the last line */
    bool last_is_stderr;
    char *gathered;
    size_t size;
    size_t allocated;
};

void line_printer_init(struct line_printer *printer, struct forwarder *forwarder,
                       enum line_form form);
void line_printer_deinit(struct line_printer *printer);

/* These return STATUS_OK, an exit status after telling the user, or -ENOMEM. */

/* Prints a line, at the latest with the next flush. */
int line_printer_print(struct line_printer *printer, const struct agent_line *line);
int line_printer_flush(struct line_printer *printer);

/* Makes the rest visible that a filter may hold back. */
int line_printer_finish(struct line_printer *printer);
