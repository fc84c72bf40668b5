/* What entries and events about agents are made of: for report*.c alone. */
#pragma once

#include <jansson.h>

#include "agent/agent.h"

/* Adds the event to the ring; takes the reference to `event` (type Event of io.caged.varlink but
 * for the members that the ring itself has). */
void report_emit(struct agent *agent, const char *kind, json_t *event);

struct report_number {
    char text[24];
};

const char *report_number(long long value, struct report_number *buffer);

/* A text that may hold bytes of a user's, in printable ASCII: journalctl -x writes a field that its
 * text names to the operator's terminal as it is. */
struct report_printable {
    char text[1024];
};

const char *report_printable(const char *text, struct report_printable *buffer);
