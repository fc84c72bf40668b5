/* Which line (or record of the network) of which run is to come next, so that those that come from
 * two sides, the daemon's memory and the journal, are shown once and in order, and none is missed
 * in silence. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent-line.h"
#include "util.h"

/* Of each run that was seen: the sequence of the line to come next. */
struct sequel {
    struct sequel_run {
        char invocation_id[INVOCATION_ID_LENGTH + 1];
        uint64_t next;
    } * runs;
    size_t n_runs;
};

void sequel_deinit(struct sequel *sequel);

/* What is to come next of a run; 0: nothing was ever said of it. */
uint64_t sequel_next(const struct sequel *sequel, const char *invocation_id);

/* What comes next is this. 0 or -ENOMEM. */
int sequel_set(struct sequel *sequel, const char *invocation_id, uint64_t next);

enum sequel_place {
    SEQUEL_SEEN, /* it was there before */
    SEQUEL_NEXT, /* its turn, or the first of its run */
    SEQUEL_GAP,  /* lines before it are missing: those from sequel_next() on */
};
enum sequel_place sequel_place(const struct sequel *sequel, const char *invocation_id,
                               uint64_t sequence);

/* The sequence of the first line that a reply to Logs is about, be it in the reply or lost. `first`
 * is the one of its first line, 0 for none. -EPROTO if the numbers make no sense. */
int sequel_reply_start(uint64_t next_sequence, uint64_t lost, uint64_t n_lines, uint64_t first,
                       uint64_t *ret);
