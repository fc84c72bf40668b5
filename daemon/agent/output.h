/* One output stream of an agent: a pipe, read without blocking and cut into lines; each line goes
 * to the journal and into the agent's ring.
 *
 * A pipe may live on after its agent, which can have handed its end to a process outside of the
 * cage. So the stream is over at the end of file or, once output_drain() was called, when what lay
 * in the pipe by then was read. Each turn of the event loop reads a little, so that a flood of
 * short lines, which cost most, holds nobody up. */
#pragma once

#include <stdbool.h>
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
    bool draining;
    size_t left; /* when draining: bytes still to be read */
    sd_event_source *source;
    char *line; /* an unfinished line, AGENT_LINE_MAX at most; allocated when needed */
    size_t length;
};

/* Takes the reading end of a pipe. 0 or -errno (the descriptor is closed). */
int output_init(struct output *output, struct agent *agent, uint32_t tag, int fd);
void output_deinit(struct output *output);

/* Stops or goes on reading: agent_update_flow() alone decides which. */
void output_set_paused(struct output *output, bool paused);

/* The agent's last process is gone: what is in the pipe now is all that is still to come.
 * agent_output_over() tells when it was taken in, maybe at once. */
void output_drain(struct output *output);
bool output_is_over(const struct output *output);
