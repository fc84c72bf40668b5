/* Checks of a card's limits, its time to live, and what is counted of a user's agents. */
#include <stdio.h>

#include "card-parse.h"
#include "site-policy-check.h"

#define USUAL_IO_WEIGHT 100 /* of a cgroup to which none was given: the kernel's cgroup-v2.rst */

static char *number_or(uint64_t number, const char *none)
{
    return number > 0 ? policy_text("%ju", (uintmax_t)number) : strdup(none);
}

static int refuse_number(struct card_error *error, uint64_t found, uint64_t ceiling)
{
    char text[sizeof(error->found)];

    (void)snprintf(text, sizeof(text), "%ju", (uintmax_t)found);
    return policy_check_refuse(error, text, "at most %ju", (uintmax_t)ceiling);
}

/* -- limits -- */

/* What a limit amounts to that a card does not have (0). */
static uint64_t limit_unset(enum card_limit limit, const struct policy_held *held)
{
    switch (limit) {
    case CARD_LIMIT_SWAP:
        return 0;
    case CARD_LIMIT_MEMORY_HIGH: /* it uses no more than all that it has */
        return held->limits.memory_mb;
    case CARD_LIMIT_IO_WEIGHT:
        return USUAL_IO_WEIGHT;
    default:
        return UINT64_MAX;
    }
}

static uint64_t rule_limit(const struct policy_rule *rule, enum card_limit limit)
{
    struct card_limits limits = rule->limits;

    return *card_limit(&limits, limit);
}

static int hold_limit(const struct policy_check *check, const struct policy_rule *rule,
                      const struct card *card, struct policy_held *held, struct card_error *error)
{
    uint64_t *value = card_limit(&held->limits, check->limit);
    uint64_t ceiling = rule_limit(rule, check->limit);
    uint64_t amount = *value > 0 ? *value : limit_unset(check->limit, held);

    if (amount <= ceiling)
        return 0;
    if (card->limits_given & 1u << check->limit)
        return refuse_number(error, *value, ceiling);
    *value = ceiling;
    return 0;
}

/* Besides its own ceiling there is the memory that is left: behind that row in the table. */
static int hold_memory_high(const struct policy_check *check, const struct policy_rule *rule,
                            const struct card *card, struct policy_held *held,
                            struct card_error *error)
{
    char found[sizeof(error->found)];

    if (held->limits.memory_high_mb <= held->limits.memory_mb)
        return hold_limit(check, rule, card, held, error);
    (void)snprintf(found, sizeof(found), "%ju", (uintmax_t)held->limits.memory_high_mb);
    return policy_check_refuse(error, found, "at most memory_mb, which is %ju here",
                               (uintmax_t)held->limits.memory_mb);
}

static char *limit_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    uint64_t ceiling = rule_limit(rule, check->limit);

    return ceiling == UINT64_MAX ? strdup(POLICY_NO_LIMIT) : policy_text("%ju", (uintmax_t)ceiling);
}

static char *limit_text(uint64_t value, enum card_limit limit, const char *comment)
{
    if (value == 0 && limit != CARD_LIMIT_SWAP)
        return strdup(POLICY_NONE);
    return policy_text("%ju%s", (uintmax_t)value, comment);
}

static char *limit_asked(const struct policy_check *check, const struct card *card)
{
    struct card_limits limits = card->limits;
    bool given = card->limits_given & 1u << check->limit;

    return limit_text(*card_limit(&limits, check->limit), check->limit, given ? "" : " (default)");
}

static char *limit_effective(const struct policy_check *check, const struct policy_held *held)
{
    struct card_limits limits = held->limits;

    return limit_text(*card_limit(&limits, check->limit), check->limit, "");
}

/* -- time to live -- */

static int hold_ttl(const struct policy_check *check, const struct policy_rule *rule,
                    const struct card *card, struct policy_held *held, struct card_error *error)
{
    if (rule->max_ttl_seconds == 0 ||
        (card->ttl_seconds > 0 && card->ttl_seconds <= rule->max_ttl_seconds))
        return 0;
    if (card->ttl_seconds > 0)
        return refuse_number(error, card->ttl_seconds, rule->max_ttl_seconds);
    held->ttl_seconds = rule->max_ttl_seconds;
    return 0;
}

static char *ttl_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return number_or(rule->max_ttl_seconds, POLICY_NO_LIMIT);
}

static char *ttl_asked(const struct policy_check *check, const struct card *card)
{
    return number_or(card->ttl_seconds, POLICY_NONE);
}

static char *ttl_effective(const struct policy_check *check, const struct policy_held *held)
{
    return number_or(held->ttl_seconds, POLICY_NONE);
}

/* -- what is no key of the card -- */

static char *count_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return policy_text("%ju", (uintmax_t)*POLICY_CHECK_FIELD(check, rule, uint64_t));
}

static char *number_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return number_or(*POLICY_CHECK_FIELD(check, rule, uint64_t), POLICY_NO_LIMIT);
}

static char *total_memory_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    if (rule->total.memory_percent > 0)
        return policy_text("%ju%% of the host's", (uintmax_t)rule->total.memory_percent);
    return number_or(rule->total.memory_mb, POLICY_NO_LIMIT);
}

/* Of how many there are already the daemon knows; but who may have none is refused by that. */
static int hold_max_agents(const struct policy_check *check, const struct policy_rule *rule,
                           const struct card *card, struct policy_held *held,
                           struct card_error *error)
{
    return rule->max_agents > 0 ? 0 : policy_check_refuse(error, "an agent", "none at all");
}

static char *one_agent(const struct policy_check *check, const struct card *card)
{
    return strdup("1");
}

static char *memory_asked(const struct policy_check *check, const struct card *card)
{
    return policy_text("%ju", (uintmax_t)card->limits.memory_mb);
}

static char *memory_effective(const struct policy_check *check, const struct policy_held *held)
{
    return policy_text("%ju", (uintmax_t)held->limits.memory_mb);
}

static char *processes_effective(const struct policy_check *check, const struct policy_held *held)
{
    return policy_text("%ju", (uintmax_t)held->limits.max_processes);
}

static char *processes_asked(const struct policy_check *check, const struct card *card)
{
    return policy_text("%ju", (uintmax_t)card->limits.max_processes);
}

#define LIMIT(field, LIMIT_, holder)                                                               \
    {                                                                                              \
        .key = "resource_limits." #field, .hold = holder, .ceiling = limit_ceiling,                \
        .asked = limit_asked, .effective = limit_effective, .limit = LIMIT_                        \
    }

/* -- the rows -- */

const struct policy_check policy_limit_checks[] = {
    {.key = "max_agents",
     .hold = hold_max_agents,
     .ceiling = count_ceiling,
     .asked = one_agent,
     RULE_OFFSET(max_agents)},
    {.key = "spawns_per_minute",
     .ceiling = number_ceiling,
     .asked = one_agent,
     RULE_OFFSET(spawns_per_minute)},
    LIMIT(memory_mb, CARD_LIMIT_MEMORY, hold_limit),
    LIMIT(memory_high_mb, CARD_LIMIT_MEMORY_HIGH, hold_memory_high),
    LIMIT(swap_mb, CARD_LIMIT_SWAP, hold_limit),
    LIMIT(cpu_shares, CARD_LIMIT_CPU_SHARES, hold_limit),
    LIMIT(cpu_quota_percent, CARD_LIMIT_CPU_QUOTA, hold_limit),
    LIMIT(io_weight, CARD_LIMIT_IO_WEIGHT, hold_limit),
    LIMIT(io_read_bps, CARD_LIMIT_IO_READ_BPS, hold_limit),
    LIMIT(io_write_bps, CARD_LIMIT_IO_WRITE_BPS, hold_limit),
    LIMIT(io_read_iops, CARD_LIMIT_IO_READ_IOPS, hold_limit),
    LIMIT(io_write_iops, CARD_LIMIT_IO_WRITE_IOPS, hold_limit),
    LIMIT(max_processes, CARD_LIMIT_PROCESSES, hold_limit),
    LIMIT(max_open_files, CARD_LIMIT_OPEN_FILES, hold_limit),
    /* Behind the limits that this one agent has of them in the end. */
    {.key = "total.memory_mb",
     .ceiling = total_memory_ceiling,
     .asked = memory_asked,
     .effective = memory_effective},
    {.key = "total.max_processes",
     .ceiling = number_ceiling,
     .asked = processes_asked,
     .effective = processes_effective,
     RULE_OFFSET(total.max_processes)},
    {.key = "ttl_seconds",
     .hold = hold_ttl,
     .ceiling = ttl_ceiling,
     .asked = ttl_asked,
     .effective = ttl_effective},
};
const size_t n_policy_limit_checks = ARRAY_SIZE(policy_limit_checks);
