/* What is no fault of a site policy, and still hardly what its writer wants. */
#pragma once

#include "site-policy.h"

/* Tells each of these: no rule at all, rules behind one that is for everybody, and roots that let
 * nothing in on this host. The policy must be resolved. */
void policy_doubts(const struct site_policy *policy, void (*teller)(void *user, const char *text),
                   void *user);
