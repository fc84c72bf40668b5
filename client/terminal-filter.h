/* An agent's output on its way to a terminal: colours pass, everything else that a terminal would
 * obey is made visible instead. An agent is not trusted, and a terminal can be told to answer as
 * if the user had typed, to write the clipboard, or to hide what happened. Pure.
 *
 * Passed: printable text, newline, tab, carriage return, and ESC [ ... m of digits, ';' and ':'.
 * Shown: every other control character, as ^X or as \xNN for C1. Output that goes to a file or a
 * pipe is never filtered; a terminal of the agent's own (run -t) cannot be. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define TERMINAL_FILTER_SEQUENCE_MAX 32

struct terminal_filter {
    char held[TERMINAL_FILTER_SEQUENCE_MAX]; /* a beginning that may become something known */
    size_t n_held;
};

/* How much room the filtered form of `size` bytes may take. */
#define TERMINAL_FILTER_ROOM(size) (4 * ((size) + TERMINAL_FILTER_SEQUENCE_MAX))

/* Filters a piece; what may go on in the next piece is held back. Returns the size of the result,
 * never over TERMINAL_FILTER_ROOM(size). */
size_t terminal_filter_apply(struct terminal_filter *filter, const char *data, size_t size,
                             char *ret);

/* What is held back at the end of the output, made visible. */
size_t terminal_filter_finish(struct terminal_filter *filter, char *ret);
