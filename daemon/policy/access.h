/* Who may do what with whose agent: its owner and root all of it, others what the rule of the agent
 * grants them by the site policy that is in force now (caged.policy(5), `access`). */
#pragma once

#include "agent/agent.h"
#include "site-policy.h"

/* Whether this peer has this right over the agent. Without POLICY_SEE the agent does not exist for
 * it. */
bool access_has(const struct peer *peer, const struct agent *agent, enum policy_right right);

/* Whether there may be agents of others that this peer can see; false is certain. */
bool access_may_see_others(const struct manager *manager, const struct peer *peer);
