/* What a gate says (common/gate-proto.h), checked to the last byte: it may have been taken over.
 * Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gate-proto.h"

/* Strings are borrowed from the message, and printable ASCII: a gate that was taken over may not
 * write into the operator's terminal by way of the log. */
struct gate_decision {
    enum gate_verdict verdict;
    uint64_t request; /* 0: it stands for more than one */
    uint64_t count;   /* 1 to UINT32_MAX */
    uint16_t port;
    unsigned status;
    const char *method, *host, *address, *rule, *reason;
};

struct gate_end {
    uint64_t request, count; /* likewise */
    uint16_t port;
    const char *method, *host, *address, *rule, *reason;
    uint64_t bytes_up, bytes_down, duration_usec; /* at most INT64_MAX */
};

enum gate_message_kind {
    GATE_SAYS_READY,
    GATE_SAYS_FAILED,
    GATE_SAYS_UPDATED,
    GATE_SAYS_GROUPS, /* decisions and ends */
};

struct gate_message {
    enum gate_message_kind kind;
    const char *why;  /* FAILED */
    uint64_t n_ended; /* UPDATED */
};

/* 0, or -EBADMSG for anything that the contract does not have, at whatever place of the message. */
int gate_message_parse(const void *data, size_t size, struct gate_message *ret);

struct gate_group_calls {
    void (*decided)(void *user, const struct gate_decision *decision);
    void (*ended)(void *user, const struct gate_end *end);
};

/* Hands on the groups of a message that gate_message_parse() found to be good. */
void gate_message_for_each(const void *data, size_t size, const struct gate_group_calls *calls,
                           void *user);
