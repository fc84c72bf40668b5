/* A gate that was taken over, for the tests of who supervises gates: the test's own program,
 * started as "caged-gate", which sends the messages that its configuration holds. That is a script:
 * records (common/records.h), each a message of any kind (common/gate-proto.h). */
#pragma once

#include "unit-test.h"

#include <stdbool.h>

#include "gate-proto.h"
#include "records.h"

enum {
    SCRIPT_MESSAGE = 1, /* a message to send at once */
    SCRIPT_ANSWER,      /* a message to send when a whole update has come; once for each update */
    SCRIPT_RETORT,      /* a message to send when an update begins, of which nothing is read then */
    SCRIPT_FILLER,      /* bytes without a meaning */
};

#define SCRIPT_SUM_MODULUS 500 /* what it answers of an update: the sum of its bytes by this */

/* For main(), before anything else. */
bool scripted_gate_is_called(char *const *argv);
int scripted_gate_main(void);

/* One more step of the script; `message` is freed. An UPDATED with the number UINT64_MAX is sent
 * with the sum of the update instead. */
void script_add(struct records_writer *script, struct records_writer *message);
void script_add_updated(struct records_writer *script, uint16_t kind, uint64_t n);
void script_add_ready(struct records_writer *script);
void script_add_failed(struct records_writer *script, const char *why);
void script_add_decision(struct records_writer *script, const char *host);

/* Groups of a message. */
void message_put_decision_of(struct records_writer *w, enum gate_verdict verdict, uint64_t request,
                             uint64_t count, const char *host);
void message_put_decision(struct records_writer *w, enum gate_verdict verdict, uint64_t count,
                          const char *host);
void message_put_end_of(struct records_writer *w, uint64_t request, uint64_t count,
                        const char *host);
void message_put_end(struct records_writer *w, uint64_t count, const char *host);
