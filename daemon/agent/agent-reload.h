/* A running agent gets the hosts of its card as it is now. */
#pragma once

#include <jansson.h>

#include "agent/agent.h"

/* What was changed: arrays of strings, or NULL where that list cannot have been. */
struct agent_change {
    json_t *added, *removed;                 /* patterns of allowed_hosts */
    json_t *private_added, *private_removed; /* of private_hosts */
    json_t *denied_added, *denied_removed;   /* of denied_hosts */
    json_t *ignored; /* what needs a new start to take effect: of a card JSON paths */
    bool live;       /* a reload: what agent_change_hosts() had changed is so no more */
};

void agent_change_deinit(struct agent_change *change);

/* What is in `of` and not in `without`, each once; NULL without memory. */
json_t *agent_change_difference(const char *const *of, size_t n, const char *const *without,
                                size_t n_without);

/* Takes over the lists of hosts of `card`, whose memory the agent may take; the card stays the
 * caller's to free. What is no longer allowed is cut soon: the agent's gate is gone or has said so
 * when gate_supervisor_is_updated() says yes to *ret_update. `by` is who asked, for the log. 0 with
 * *ret for agent_change_deinit(); on failure -errno, and all is as it was: -EBUSY if the log has no
 * room for the entry. */
int agent_reload(struct agent *agent, struct card *card, uid_t by, struct agent_change *ret,
                 uint64_t *ret_update);
