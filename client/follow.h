/* An agent's output (Logs) and its end (Wait), as several verbs show them. */
#pragma once

#include "agent.h"
#include "forwarder.h"

struct follow {
    struct connection *connection; /* borrowed, like all of these */
    struct agent_name agent;
    struct forwarder *forwarder; /* NULL: signals are not passed on */
    bool json;                   /* one LogLine a line on stdout instead of the bytes */
};

/* Shows what the ring holds (its last *lines, or all for NULL) and, with `follow`, what comes
 * until the agent's output ends. Both tell about failures and return the exit status. */
int follow_logs(struct follow *f, bool follow, const uint32_t *lines);

/* Waits until the agent has ended. `ret_agent` points into `ret_reply` (reply_deinit). */
int follow_wait(struct follow *f, struct reply *ret_reply, struct agent *ret_agent);
