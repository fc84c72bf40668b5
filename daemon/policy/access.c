/* Who may do what with whose agent. */
#include "policy/access.h"

#include "policy/policy-store.h"

bool access_has(const struct peer *peer, const struct agent *agent, enum policy_right right)
{
    const struct policy_subject subject = peer_subject(peer);

    return peer->uid == 0 || peer->uid == agent->owner ||
           policy_rule_grants(agent->rule, &subject, right);
}

bool access_may_see_others(const struct manager *manager, const struct peer *peer)
{
    const struct site_policy *policy = policy_store_get(manager->policy);
    const struct policy_subject subject = peer_subject(peer);

    for (size_t i = 0; policy && i < policy->n_rules; i++)
        if (policy_rule_grants(&policy->rules[i], &subject, POLICY_SEE))
            return true;
    return peer->uid == 0;
}
