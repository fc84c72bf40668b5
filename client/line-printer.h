/* LogLines of the daemon, written as the agent wrote them: each to our stdout or stderr, byte by
 * byte the same, but for a terminal, where what it would obey is made visible. Or as JSON. */
#pragma once

#include <stdbool.h>

#include "forwarder.h"
#include "terminal-filter.h"

struct line_printer {
    struct forwarder *forwarder; /* borrowed; NULL: signals are not passed on */
    bool json;                   /* one LogLine a line on stdout instead of the bytes */
    struct line_stream {
        int fd;
        bool is_terminal;
        struct terminal_filter filter;
    } streams[2];
    struct line_stream *current; /* whose bytes are gathered */
    char *gathered;
    size_t size;
    size_t allocated;
};

void line_printer_init(struct line_printer *printer, struct forwarder *forwarder, bool json);
void line_printer_deinit(struct line_printer *printer);

/* Prints the "lines" of one reply and tells of those that were lost. STATUS_OK, an exit status
 * after telling the user, or -EPROTO or -ENOMEM. */
int line_printer_print(struct line_printer *printer, const json_t *parameters);

/* Makes the rest visible that a filter may hold back. Returns like line_printer_print. */
int line_printer_finish(struct line_printer *printer);
