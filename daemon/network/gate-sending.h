/* A configuration on its way to a running gate, in parts as its socket takes them
 * (common/gate-proto.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate_sending {
    uint64_t number; /* of the update; 0: none is under way */
    const void *data;
    size_t size, sent;
    bool announced; /* its size was sent */
};

/* `config` is a sealed memfd, which stays the caller's and may be closed. 0 or -errno. */
int gate_sending_begin(struct gate_sending *sending, uint64_t number, int config);
void gate_sending_end(struct gate_sending *sending);

/* Sends what the socket takes now: 1 if more is to be sent, 0 if not, or -errno. */
int gate_sending_run(struct gate_sending *sending, int control);

/* Whether one is under way of which the gate has all. */
bool gate_sending_is_sent(const struct gate_sending *sending);
