/* What the site policy says of a spawn. */
#include "policy/spawn-policy.h"

#include <limits.h>
#include <stdio.h>

#include "caged-limits.h"
#include "clock.h"
#include "installed.h"
#include "policy/policy-store.h"

static void name_limit(const char *what, const struct policy_rule *rule, char *limit, size_t size)
{
    (void)snprintf(limit, size, "%s by the rule \"%s\" of the site policy", what, rule->name);
}

static int refuse_too_often(struct agent_problem *ret, const struct policy_rule *rule,
                            uint64_t wait_usec)
{
    unsigned seconds = (unsigned)((wait_usec + 999999) / 1000000); /* a minute at most */
    char limit[sizeof(ret->step)];

    name_limit("spawns of one user in a minute", rule, limit, sizeof(limit));
    (void)agent_problem_set(ret, FAILURE_BUSY, -EBUSY, limit,
                            "there were %ju already; the next one may come in %u s",
                            (uintmax_t)rule->spawns_per_minute, seconds);
    ret->error = (int)MIN_OF(rule->spawns_per_minute, (uint64_t)INT_MAX);
    ret->retry_seconds = seconds;
    return -EBUSY;
}

int spawn_policy_admit(struct manager *manager, const struct peer *peer,
                       const struct policy_rule **ret, struct agent_problem *ret_problem)
{
    const struct policy_rule *rule = policy_store_rule(manager->policy, peer);

    if (!rule)
        return agent_problem_set(ret_problem, FAILURE_PERMITTED, -EPERM, "spawn", "%s",
                                 policy_store_why_none(manager->policy));
    uint64_t wait = spawn_rate_take(&manager->spawn_rate, peer->uid, rule->spawns_per_minute,
                                    clock_usec(CLOCK_BOOTTIME));
    if (wait > 0)
        return refuse_too_often(ret_problem, rule, wait);
    *ret = rule;
    return 0;
}

int spawn_policy_hold(const struct manager *manager, const struct policy_rule *rule,
                      struct card *card, struct agent_problem *ret_problem)
{
    struct card_error error;
    int r = installed_find_preset(manager->data_dir, card);

    if (r == 0)
        r = policy_rule_hold(rule, card, &error);
    if (r == -EPERM)
        return agent_problem_set(ret_problem, FAILURE_PERMITTED, r, error.path,
                                 "%s; the rule \"%s\" of the site policy allows %s", error.found,
                                 rule->name, error.expected);
    return r;
}

int spawn_policy_check_agents(const struct manager *manager, uid_t owner,
                              const struct policy_rule *rule, struct agent_problem *ret_problem)
{
    char limit[sizeof(ret_problem->step)];

    if (manager_count(manager, owner) < rule->max_agents)
        return 0;
    name_limit("agents of one user", rule, limit, sizeof(limit));
    (void)agent_problem_set(ret_problem, FAILURE_BUSY, -EBUSY, limit, "there are %ju already",
                            (uintmax_t)rule->max_agents);
    ret_problem->error = (int)MIN_OF(rule->max_agents, (uint64_t)INT_MAX);
    return -EBUSY;
}
