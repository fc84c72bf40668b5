/* Standard output: nothing that could not be written goes unnoticed. */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* The exit status for an output error, after saying so; a reader that went away (EPIPE) is no
 * error to talk about: 128+SIGPIPE, quietly. */
int output_failed(int error);

/* Flushes what was printed with stdio: STATUS_OK or the status of the failure. */
int output_flush(void);

/* One JSON value and a newline: compact for a stream of records, indented for one alone. ASCII
 * only, so that no string in it can touch a terminal. Returns like output_flush. */
int output_json_line(const json_t *value);
int output_json(const json_t *value);
