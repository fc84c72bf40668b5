/* One output stream of an agent: a pipe, read without blocking and cut into lines; each line goes
 * to the journal and into the agent's ring. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "util.h"

struct agent;

/* Tags of ring entries. */
#define OUTPUT_TAG_STDERR 1u
#define OUTPUT_TAG_PARTIAL 2u /* the line goes on in the stream's next entry, or had no newline */

struct output {
    struct agent *agent;
    int fd; /* negative once it is over */
    uint32_t tag;
    sd_event_source *source;
    char *line; /* an unfinished line, AGENT_LINE_MAX at most; allocated when needed */
    size_t length;
};

/* Takes the reading end of a pipe. 0 or -errno (the descriptor is closed). */
int output_init(struct output *output, struct agent *agent, uint32_t tag, int fd);
void output_deinit(struct output *output);

/* Stops or goes on reading, for a reader that must not lose anything. */
void output_set_paused(struct output *output, bool paused);

/* Takes all that is left when the last writer is gone, and the unfinished line, and closes. */
void output_finish(struct output *output);
