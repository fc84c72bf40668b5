/* Where the refusals of cards are logged: each user has a share of the log for them. So a flood of
 * bad cards, while the log takes nothing, hides nobody else's refusal and nothing of the daemon's.
 */
#pragma once

#include <sys/queue.h>
#include <sys/types.h>

#include "log.h"

struct refusal_log;
struct refusal_logs {
    LIST_HEAD(, refusal_log) list; /* all zero: empty */
};

/* The user's, whose entries have the owner's uid; good until the next call. NULL: no memory. */
struct log_agent *refusal_logs_get(struct refusal_logs *logs, uid_t uid);
void refusal_logs_deinit(struct refusal_logs *logs);
