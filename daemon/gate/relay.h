/* One direction of a connection: bytes from one socket to the other as they come. What the other
 * side does not take at once waits in a buffer (or a pipe) that exists only then; while it waits
 * nothing more is read, so a slow reader slows its writer and costs one buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hello-filter.h"
#include "relay-bulk.h"

struct relay_flow;

/* Looks at what was read before it passes, and lets pass what may (relay_flow_pass). `size` 0: the
 * stream ended. May set `ended` and `whole`, and `filter` itself to NULL once all that is left
 * passes as it is. 0 or an enum relay_error. */
typedef int (*relay_filter)(struct relay_flow *flow, const char *data, size_t size);

struct relay_flow {
    int from, to;               /* not owned */
    relay_filter filter;        /* NULL: everything passes, unseen */
    void *userdata;             /* of the filter */
    struct hello_filter *hello; /* owned; NULL: everything passes; else held back until judged */
    bool unjudged;              /* the filter let it pass for its rule alone */
    char *pending;
    size_t pending_size, pending_offset;
    struct relay_bulk bulk;
    uint64_t bytes;  /* written to `to` */
    bool reset;      /* writing failed because `to` was reset */
    bool broken;     /* `from` was, and writing to it took that error: its end of file is none */
    bool ended;      /* nothing more will be read */
    bool whole;      /* because a message ended, not the stream: no end is passed on */
    bool last;       /* with it the connection ends, which closing it will say */
    bool shut;       /* and all of it, an end as well, was passed on: the flow is over */
    const char *why; /* of RELAY_BAD_ANSWER: a static sentence */
};

void relay_flow_deinit(struct relay_flow *flow);

/* Puts bytes in front of what will be read; before the flow's first run. 0 or -ENOMEM. */
int relay_flow_push(struct relay_flow *flow, const char *data, size_t size);

/* The same for bytes that came early, before the flow was there: what the filter has held back does
 * not pass. 0, or -EBADMSG if it refused, or -ENOMEM. */
int relay_flow_offer(struct relay_flow *flow, const char *data, size_t size);

/* How a run went, when not 0. */
enum relay_error {
    RELAY_READ_FAILED = 1, /* `from` broke; what came before was passed on */
    RELAY_WRITE_FAILED,    /* `to` broke, or no memory */
    RELAY_BAD_BODY,        /* a filter: the framing was violated */
    RELAY_BAD_ANSWER, /* a filter: what came is not an answer, or it ended before its final head */
    RELAY_BAD_HELLO,  /* `hello` refused what came; it is still there to say why */
};

/* Moves what can be moved now, boundedly. 0 or an enum relay_error. */
int relay_flow_run(struct relay_flow *flow);

/* For a filter, and for what comes before the first run: sends these bytes, behind those that
 * wait already; what `to` does not take at once waits. 0 or RELAY_WRITE_FAILED. */
int relay_flow_pass(struct relay_flow *flow, const char *data, size_t size);

/* Sends what waits, reads nothing. 0 or RELAY_WRITE_FAILED. */
int relay_flow_flush(struct relay_flow *flow);

/* Nothing more goes this way: `to` is gone, or nobody cares. */
void relay_flow_abandon(struct relay_flow *flow);

/* Something was read that `to` has not taken. */
static inline bool relay_flow_wants_write(const struct relay_flow *flow)
{
    return flow->pending || flow->bulk.inside > 0;
}

static inline bool relay_flow_wants_read(const struct relay_flow *flow)
{
    return !flow->ended && !relay_flow_wants_write(flow);
}
