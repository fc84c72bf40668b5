/* A DECISION or an END as the gate sends it (common/gate-proto.h). Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gate-proto.h"
#include "records.h"

struct network_record {        /* strings are borrowed */
    bool end;                  /* an END, else a DECISION */
    enum gate_verdict verdict; /* of a DECISION */
    uint64_t request;
    const char *method, *host, *address, *rule;
    const char *reason; /* static */
    uint16_t port;
    unsigned status;                              /* of a DECISION */
    bool awaited;                                 /* likewise: of a request that was held */
    uint64_t bytes_up, bytes_down, duration_usec; /* of an END */
    uint64_t count;
};

/* Appends the group. 0 or -errno. */
int network_record_encode(struct records_writer *w, const struct network_record *record);
