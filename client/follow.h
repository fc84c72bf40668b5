/* An agent's output (Logs) and its end (Wait), as several verbs show them. */
#pragma once

#include "agent.h"
#include "forwarder.h"
#include "line-form.h"

struct follow {
    struct connection *connection; /* borrowed, like all of these */
    const char *socket;            /* for more connections */
    struct agent_name agent;
    struct forwarder *forwarder; /* NULL: signals are not passed on */
    enum line_form form;
};

/* Shows what the present run of an agent, or its last, has put out (its last *lines, or all for
 * NULL) and, with `follow`, what comes until the agent's output ends. What the daemon has not in
 * its memory any more comes from the journal, if there is one. All of these tell about failures and
 * return the exit status. */
int follow_logs(struct follow *f, bool follow, const uint32_t *lines);

/* The same of an agent that the daemon may know no more. */
int follow_logs_or_past(struct follow *f, bool follow, const uint32_t *lines);

/* Of all runs, what was put out between two times (NULL: no bound) that journalctl understands, or
 * the last *lines of it; with `follow` also what comes of the run that goes on. */
int follow_times(struct follow *f, const char *since, const char *until, bool follow,
                 const uint32_t *lines);

/* Waits until the agent has ended. `ret_agent` points into `ret_reply` (reply_deinit). */
int follow_wait(struct follow *f, struct reply *ret_reply, struct agent *ret_agent);
