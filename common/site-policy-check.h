/* Inside of holding a card against a rule: the rows of checks, and what their functions share. A
 * check looks at the card, and writes what becomes of it into `struct policy_held`, from where it
 * goes to the card if all agree. For site-policy-hold.c and the files of rows alone. */
#pragma once

#include "site-policy.h"

#define POLICY_NO_LIMIT "no limit"
#define POLICY_NONE "none"

struct policy_held {
    struct card_limits limits;
    uint64_t ttl_seconds;
};

struct policy_check {
    const char *key;
    /* 0 or -EPERM with the error; NULL: nothing of the card is asked. */
    int (*hold)(const struct policy_check *check, const struct policy_rule *rule,
                const struct card *card, struct policy_held *held, struct card_error *error);
    /* New texts, NULL without memory. No `effective`: what is asked. */
    char *(*ceiling)(const struct policy_check *check, const struct policy_rule *rule);
    char *(*asked)(const struct policy_check *check, const struct card *card);
    char *(*effective)(const struct policy_check *check, const struct policy_held *held);
    enum card_limit limit; /* for limits */
    size_t offset;         /* in the rule, for what is not a limit */
};

#define POLICY_CHECK_FIELD(check, rule, type)                                                      \
    ((const type *)(const void *)((const char *)(rule) + (check)->offset))

#define RULE_OFFSET(field) .offset = offsetof(struct policy_rule, field)

extern const struct policy_check policy_limit_checks[];
extern const struct policy_check policy_host_checks[];
extern const struct policy_check policy_word_checks[];
extern const size_t n_policy_limit_checks, n_policy_host_checks, n_policy_word_checks;

/* New texts, NULL without memory; of an empty list POLICY_NONE. */
char *policy_text(const char *format, ...) PRINTF_LIKE(1, 2);
char *policy_text_join(const struct string_list *list);

/* Fills `found` and `expected` of an error and returns -EPERM. */
int policy_check_refuse(struct card_error *error, const char *found, const char *expected_format,
                        ...) PRINTF_LIKE(3, 4);
