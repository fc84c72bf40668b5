/* A policy from its text, for the tests of what it means. */
#pragma once

#include "unit-test.h"

#include "site-policy.h"

#define RULE(keys) "{\"rules\":[{\"users\":[\"*\"]" keys "}]}"

/* With the numbers of its users and groups; for site_policy_free(). */
static struct site_policy *policy_of(const char *text)
{
    struct site_policy *policy = NULL;
    struct policy_error error = {};

    if (site_policy_parse_text(text, strlen(text), &policy, &error) < 0)
        fail_msg("%s: found %s, expected %s", error.at.path, error.at.found, error.at.expected);
    assert_int_equal(site_policy_resolve(policy, NULL, NULL), 0);
    return policy;
}
