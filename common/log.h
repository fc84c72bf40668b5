/* Log entries of the daemon, structured: to the journal where there is one, else as text lines to
 * stderr. One call is one entry. No call waits: entries are queued, and a thread writes them
 * (log-queue.h). Never called with secrets. All functions are for one thread, the event loop's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "util.h"

/* Stable ids of the entries that operators filter by (128-bit, sd-id128(3)). What each means to an
 * operator stands in units/caged.catalog. */
#define LOG_ID_AGENT_STARTED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a01"
#define LOG_ID_AGENT_ENDED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a02"
#define LOG_ID_AGENT_REFUSED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a03"
#define LOG_ID_AGENT_FAILED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a04"
#define LOG_ID_AGENT_STOPPING "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a05"
#define LOG_ID_NETWORK_ALLOWED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a06"
#define LOG_ID_NETWORK_REFUSED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a07"
#define LOG_ID_GATE_FAILED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a08"
#define LOG_ID_ENTRIES_LOST "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a09"
#define LOG_ID_AGENT_RELOADED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a10"
#define LOG_ID_NETWORK_CUT "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a11"
#define LOG_ID_NETWORK_ENDED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a12"
#define LOG_ID_NETWORK_HELD "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a13"
#define LOG_ID_POLICY_LOADED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a20"
#define LOG_ID_POLICY_REFUSED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a21"
#define LOG_ID_AGENT_PLANTED "8f2c8a5f3e0b4a0e9d7f1b6b5d0c1a30"

struct log_field {
    const char *name;  /* journal field name: [A-Z0-9_]+ */
    const char *value; /* NULL: the field is left out */
};

/* Chooses the destination for good: the journal if its socket is there or systemd runs, which will
 * bring it (back); else stderr. Call once, first: until then, and after log_close(), an entry is
 * written to stderr at once. 0 or -errno. */
int log_open(void);

/* Waits for what is queued, LOG_FLUSH_TIMEOUT at most; says on stderr how much could not be
 * written, if stderr takes that. Every log_agent was freed before. */
void log_close(void);

/* For the event loop: when the descriptor (the log's) is readable, log_dispatch() calls those who
 * wait for their agent's entries to be written, and logs it if the disk that they go to is full:
 * once, until that is written. */
int log_fd(void);
void log_dispatch(void);

/* Why nothing can be written now: a positive errno (ENOSPC, EDQUOT), or 0. */
int log_held(void);

/* Whether entries go to the journal. */
bool log_has_journal(void);

/* Stands for all entries logged so far; and whether these were written. */
uint64_t log_mark(void);
bool log_mark_is_written(uint64_t mark);

/* -- agents -- */

/* Whom entries are about. While more than LOG_UNSENT_PAUSE of an agent's entries are unwritten,
 * what makes them is to be stopped; `relieved` tells when it may go on. */
struct log_agent;

struct log_agent_setup {                  /* strings are copied */
    const char *agent_id, *invocation_id; /* NULL: they are about its owner alone */
    const char *unit;                     /* of systemd, whose cgroup it is in; NULL: none */
    uint64_t owner_uid;
    void (*relieved)(void *user);
    void *user;
};

/* NULL: no memory. */
struct log_agent *log_agent_new(const struct log_agent_setup *setup);

/* What is queued will be written all the same. */
struct log_agent *log_agent_free(struct log_agent *agent);

bool log_agent_is_over(struct log_agent *agent);    /* over the bound, and to be relieved */
bool log_agent_has_room(struct log_agent *agent);   /* for half of LOG_UNSENT_MAX */
bool log_agent_is_written(struct log_agent *agent); /* nothing is queued */

/* -- entries -- */

/* An entry without fields of its own. */
void log_message(int priority, const char *format, ...) PRINTF_LIKE(2, 3);

/* An entry with fields, of an agent or, with NULL, of the daemon. `message_id` is one of the above,
 * or NULL. */
void log_entry(struct log_agent *agent, int priority, const char *message_id,
               const struct log_field *fields, size_t n_fields, const char *format, ...)
    PRINTF_LIKE(6, 7);

/* A line of an agent's output, any bytes. */
struct log_line {
    struct log_agent *agent;
    const char *stream; /* static: "stdout", "stderr" */
    uint64_t sequence;  /* counts the agent's lines */
    uint64_t time_usec; /* CLOCK_REALTIME */
    bool partial;       /* the line goes on in the stream's next, or had no newline */
    const void *data;
    size_t size;
};
void log_line(const struct log_line *line);

#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_message(LOG_DEBUG, __VA_ARGS__)
