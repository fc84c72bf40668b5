/* The daemon's History and Audit: past output of an agent, or what gates recorded, from the
 * journal, which the caller itself may not be able to read. */
#pragma once

#include "agent-line.h"
#include "agent.h"
#include "forwarder.h"

struct history_query {
    const char *socket;
    const struct agent_name *agent; /* for Audit maybe without an id */
    bool audit;                     /* Audit, else History */
    bool refused;                   /* Audit: only what was refused */
    const char *invocation_id;      /* History: NULL for all runs */
    const char *since, *until;      /* NULL: no bound */
    uint64_t lines;                 /* the last of all; AGENT_NONE: no limit, as with a bound */
    struct forwarder *forwarder;    /* NULL: signals are not passed on */
};

/* Is given one line after the other, oldest first. 0 to go on. It may take the line over, and
 * leaves an empty one then. */
typedef int (*history_taker)(void *user, struct agent_line *line);

/* Is given one entry after the other, as journalctl printed it: 0 to go on, -EPROTO for one that is
 * to be counted as not understood. */
typedef int (*history_entry_taker)(void *user, const char *text, size_t size);

struct history_result {
    struct reply reply;        /* the daemon's word, maybe an error: then the lines are not all */
    uint64_t n_not_understood; /* entries that are none of what was asked for */
};
void history_result_deinit(struct history_result *result);

/* 0 with a result, what the taker returned if that is not 0, or -errno. While too many are being
 * read it waits for a while. */
int history_read(const struct history_query *query, history_taker taker, void *user,
                 struct history_result *ret);
int history_read_entries(const struct history_query *query, history_entry_taker taker, void *user,
                         struct history_result *ret);

/* Tells about the error that a result has; `instead`: what there is where there is no journal.
 * Returns the exit status. */
int history_say_failure(const struct history_query *query, const struct reply *reply,
                        const char *instead);
