/* What a rule of the site policy makes of a card, for people: the rule, and each ceiling beside
 * what the card asks for. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* `reply` is as ExplainPolicy answers: {rule: ?string, index: ?int, ceilings: [...]}, `policy`
 * where the rules are from. 0 with *ret_permitted (whether there is a rule, and the card is within
 * it), -EPROTO or -ENOMEM. */
int policy_print(const json_t *reply, const char *policy, bool *ret_permitted);

/* The same without printing. */
int policy_is_permitted(const json_t *reply, bool *ret_permitted);
