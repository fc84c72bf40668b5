/* What a gate recorded, as the daemon tells of it (type Event of io.caged) or as journalctl(1)
 * prints its entry in the journal with --output=json. What is not as it should be is refused. Pure
 * but for printing. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_record {
    json_t *json; /* has all strings; owned */
    const char *agent_id, *invocation_id;
    uint64_t owner_uid, time_usec;
    uint64_t record;     /* of its run, from 1 */
    uint64_t request;    /* 0: it stands for several */
    const char *verdict; /* of a decision; NULL: it is an end */
    const char *method, *host, *address, *rule, *code;
    uint64_t port, count;
    uint64_t bytes_up, bytes_down, duration_usec; /* of an end */
};

void audit_record_deinit(struct audit_record *record);

/* Of an Event of kind "network" or "network_ended". 0 or -EPROTO. */
int audit_record_from_event(json_t *event, struct audit_record *ret);

/* Of one line that journalctl printed. 0, -EPROTO or -ENOMEM. */
int audit_record_from_journal(const char *text, size_t size, struct audit_record *ret);

/* An Event, but for what only the daemon's memory has (sequence). New reference, NULL without
 * memory. */
json_t *audit_record_to_json(const struct audit_record *record);

/* One line on stdout, with nothing in it that a terminal obeys; `with_owner`: a column more. */
void audit_record_print(const struct audit_record *record, bool with_owner);
