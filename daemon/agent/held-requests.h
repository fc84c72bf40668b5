/* The requests of an agent that its gate holds until an operator answers (Spawn's ask_seconds).
 * Bounded, whatever a gate says that was taken over. Nothing but memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"

struct held_request {
    uint64_t request; /* its number in the gate */
    char *host;
    uint16_t port;
    uint64_t since_usec; /* CLOCK_REALTIME */
};

struct held_requests {
    struct held_request items[GATE_HELD_MAX]; /* oldest first */
    size_t count;
};

/* The string is copied. Without memory or room it is not remembered: the gate ends it in time. */
void held_requests_add(struct held_requests *held, const struct held_request *request);

/* It is decided. Nothing to do for one that is not held. */
void held_requests_remove(struct held_requests *held, uint64_t request);

/* The gate is gone. */
void held_requests_clear(struct held_requests *held);
