/* What the site policy says of a spawn, before anything is made for it. */
#pragma once

#include "agent/agent-problem.h"
#include "card.h"
#include "manager.h"
#include "server/peer.h"
#include "site-policy.h"

/* Finds the peer's rule and counts the attempt by it: 0 with *ret, good until the event loop's next
 * turn, or -errno with the problem. */
int spawn_policy_admit(struct manager *manager, const struct peer *peer,
                       const struct policy_rule **ret, struct agent_problem *ret_problem);

/* Finds the preset of the card's command, holds the card against the rule and fills in what it
 * leaves open (policy_rule_hold()). */
int spawn_policy_hold(const struct manager *manager, const struct policy_rule *rule,
                      struct card *card, struct agent_problem *ret_problem);

/* Whether its owner may have one agent more. */
int spawn_policy_check_agents(const struct manager *manager, uid_t owner,
                              const struct policy_rule *rule, struct agent_problem *ret_problem);
