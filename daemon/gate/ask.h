/* Asking an operator: a host that no entry allows or denies is not refused at once, if the agent
 * was spawned so, but held. The connection stays open and nothing more is read from it; a DECISION
 * with verdict held tells cagedd; and an update that has an entry for the host, either way, is the
 * answer. Without one it is refused when the time is over. A client that closes its end, or half of
 * it, has gone: else an agent could not be told from one that waits.
 *
 * An agent can bother its operator with no more than GATE_HELD_MAX requests at once, and with new
 * ones at no more than a rate: what is over either is refused as if nobody could be asked. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct connection;

/* How many requests may be held just now: a bucket of GATE_HELD_BURST that fills up with
 * GATE_HELD_PER_SECOND. Zeroed it is full. */
struct ask_bucket {
    uint64_t used_usec; /* what was taken out and is not back, as time that it takes to come back */
    uint64_t at_usec;   /* when that was so: CLOCK_MONOTONIC */
};

/* Takes one out: whether there was one. Pure. */
bool ask_bucket_take(struct ask_bucket *bucket, uint64_t now_usec);

/* No entry is about the host of this request: holds or refuses it. */
void ask_begin(struct connection *c);

/* Other rules are in force: a held request goes on, is refused, or stays held. */
void ask_recheck(struct connection *c);
