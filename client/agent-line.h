/* A line of an agent's output, as the daemon tells of it (type LogLine of io.caged) or as
 * journalctl(1) prints its entry in the journal with --output=json (systemd's "Journal JSON
 * Format"). What is not as it should be is refused. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INVOCATION_ID_LENGTH 32

struct agent_line {
    char invocation_id[INVOCATION_ID_LENGTH + 1];
    uint64_t sequence; /* of its run, from 1 */
    uint64_t time_usec;
    bool is_stderr;
    bool partial;
    const char *bytes; /* without the newline */
    size_t size;
    void *owned; /* the memory of `bytes`, where it is not borrowed */
};

void agent_line_deinit(struct agent_line *line);

/* Whether it is 32 hexadecimal digits. */
bool invocation_id_is_sane(const char *text);

/* Of a LogLine, which has to outlive it, of the run `invocation_id`. 0, -EPROTO or -ENOMEM. */
int agent_line_from_json(const json_t *json, const char *invocation_id, struct agent_line *ret);

/* Of one line that journalctl printed. 0, -EPROTO or -ENOMEM. */
int agent_line_from_journal(const char *text, size_t size, struct agent_line *ret);

/* A LogLine. New reference, NULL without memory. */
json_t *agent_line_to_json(const struct agent_line *line);
