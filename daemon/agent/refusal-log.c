/* A share of the log for each user whose cards were refused. One lives until all its entries are
 * written and somebody else's card is refused: so there are few, and a flood needs no new ones. */
#include "agent/refusal-log.h"

#include <stdlib.h>

struct refusal_log {
    LIST_ENTRY(refusal_log) entry;
    uid_t uid;
    struct log_agent *log;
};

static void forget(struct refusal_log *refusals)
{
    LIST_REMOVE(refusals, entry);
    log_agent_free(refusals->log);
    free(refusals);
}

static struct refusal_log *add(struct refusal_logs *logs, uid_t uid)
{
    const struct log_agent_setup setup = {.owner_uid = uid};
    struct refusal_log *refusals = malloc(sizeof(*refusals));

    if (!refusals)
        return NULL;
    *refusals = (struct refusal_log){.uid = uid, .log = log_agent_new(&setup)};
    if (!refusals->log) {
        free(refusals);
        return NULL;
    }
    LIST_INSERT_HEAD(&logs->list, refusals, entry);
    return refusals;
}

struct log_agent *refusal_logs_get(struct refusal_logs *logs, uid_t uid)
{
    struct refusal_log *refusals, *next, *found = NULL;

    for (refusals = LIST_FIRST(&logs->list); refusals; refusals = next) {
        next = LIST_NEXT(refusals, entry);
        if (refusals->uid == uid)
            found = refusals;
        else if (log_agent_is_written(refusals->log))
            forget(refusals);
    }
    if (!found)
        found = add(logs, uid);
    return found ? found->log : NULL;
}

void refusal_logs_deinit(struct refusal_logs *logs)
{
    while (!LIST_EMPTY(&logs->list))
        forget(LIST_FIRST(&logs->list));
}
