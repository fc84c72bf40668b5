/* The daemon's History: past output of an agent from the journal, which the caller itself may not
 * be able to read. */
#pragma once

#include "agent-line.h"
#include "agent.h"
#include "forwarder.h"

struct history_query {
    const char *socket;
    const struct agent_name *agent;
    const char *invocation_id;   /* NULL: all runs */
    const char *since, *until;   /* NULL: no bound */
    uint64_t lines;              /* the last of all; AGENT_NONE: no limit, as with a bound */
    struct forwarder *forwarder; /* NULL: signals are not passed on */
};

/* Is given one line after the other, oldest first. 0 to go on. It may take the line over, and
 * leaves an empty one then. */
typedef int (*history_taker)(void *user, struct agent_line *line);

struct history_result {
    struct reply reply;        /* the daemon's word, maybe an error: then the lines are not all */
    uint64_t n_not_understood; /* entries that are no lines of an agent */
};
void history_result_deinit(struct history_result *result);

/* 0 with a result, what the taker returned if that is not 0, or -errno. While too many are being
 * read it waits for a while. */
int history_read(const struct history_query *query, history_taker taker, void *user,
                 struct history_result *ret);
