/* What the site policy says of a spawn. */
#include "spawn-policy.h"

#include <limits.h>
#include <stdio.h>

#include "caged-limits.h"
#include "clock.h"
#include "policy-store.h"

static int refuse_too_many(struct agent_problem *ret, const char *what,
                           const struct policy_rule *rule, uint64_t maximum)
{
    char limit[sizeof(ret->step)];

    (void)snprintf(limit, sizeof(limit), "%s by the rule \"%s\" of the site policy", what,
                   rule->name);
    (void)agent_problem_set(ret, FAILURE_BUSY, -EBUSY, limit, "there are %ju already",
                            (uintmax_t)maximum);
    ret->error = (int)MIN_OF(maximum, (uint64_t)INT_MAX);
    return -EBUSY;
}

int spawn_policy_admit(struct manager *manager, const struct peer *peer,
                       const struct policy_rule **ret, struct agent_problem *ret_problem)
{
    const struct policy_rule *rule = policy_store_rule(manager->policy, peer);

    if (!rule)
        return agent_problem_set(ret_problem, FAILURE_PERMITTED, -EPERM, "spawn", "%s",
                                 policy_store_why_none(manager->policy));
    if (!spawn_rate_take(&manager->spawn_rate, peer->uid, rule->spawns_per_minute,
                         clock_usec(CLOCK_BOOTTIME)))
        return refuse_too_many(ret_problem, "spawns of one user in a minute", rule,
                               rule->spawns_per_minute);
    *ret = rule;
    return 0;
}

int spawn_policy_hold(const struct policy_rule *rule, struct card *card,
                      struct agent_problem *ret_problem)
{
    struct card_error error;
    int r = policy_rule_hold(rule, card, &error);

    if (r == -EPERM)
        return agent_problem_set(ret_problem, FAILURE_PERMITTED, r, error.path,
                                 "%s, the rule \"%s\" of the site policy allows %s", error.found,
                                 rule->name, error.expected);
    return r;
}

int spawn_policy_check_preset(const struct policy_rule *rule, const char *name,
                              struct agent_problem *ret_problem)
{
    if (policy_rule_has_preset(rule, name))
        return 0;
    return agent_problem_set(ret_problem, FAILURE_PERMITTED, -EPERM, "$.command",
                             "its program has the preset \"%s\", which is not within presets of "
                             "the rule \"%s\" of the site policy",
                             name, rule->name);
}

int spawn_policy_check_agents(const struct manager *manager, uid_t owner,
                              const struct policy_rule *rule, struct agent_problem *ret_problem)
{
    if (manager_count(manager, owner) < rule->max_agents)
        return 0;
    return refuse_too_many(ret_problem, "agents of one user", rule, rule->max_agents);
}
