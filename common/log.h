/* Log entries of the daemon, structured: to the journal where there is one, else as text lines to
 * stderr. One call is one entry. Never called with secrets. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "util.h"

/* Stable ids of the entries that operators filter by (128-bit, sd-id128(3)). */
#define LOG_ID_AGENT_STARTED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a01"
#define LOG_ID_AGENT_ENDED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a02"
#define LOG_ID_AGENT_REFUSED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03"
#define LOG_ID_AGENT_FAILED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a04"
#define LOG_ID_AGENT_STOPPING "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a05"
#define LOG_ID_NETWORK_ALLOWED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a06"
#define LOG_ID_NETWORK_REFUSED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a07"
#define LOG_ID_GATE_FAILED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a08"
#define LOG_ID_AGENT_RELOADED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a10"
#define LOG_ID_NETWORK_CUT "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a11"

struct log_field {
    const char *name;  /* journal field name: [A-Z0-9_]+ */
    const char *value; /* NULL: the field is left out */
};

/* Chooses the destination: the journal if its socket is there, else stderr. Call once, first. */
void log_open(void);

/* An entry without fields of its own. */
void log_message(int priority, const char *format, ...) PRINTF_LIKE(2, 3);

/* An entry with fields; `message_id` may be NULL. */
void log_entry(int priority, const char *message_id, const struct log_field *fields,
               size_t n_fields, const char *format, ...) PRINTF_LIKE(5, 6);

/* A line of an agent's output, any bytes. */
void log_agent_line(const char *agent_id, const char *stream, uint64_t owner_uid, const void *line,
                    size_t size);

#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_DEBUG, __VA_ARGS__)
