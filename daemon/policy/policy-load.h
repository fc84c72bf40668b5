/* The file of the site policy: read, checked, parsed, its users and groups looked up. All of it may
 * take its time (a slow disk, a server behind nss(5)), so that it is a thread's work once the event
 * loop runs (policy-loader.h). */
#pragma once

#include "site-policy.h"

struct policy_loaded {
    struct site_policy *policy; /* NULL: it was refused */
    struct policy_error error;  /* why; `at.path` is empty where the file as such is the fault */
    struct string_list unknown; /* "rule "x": there is no group "y"", POLICY_UNKNOWN_MAX at most */
};

/* Loads the file at `path`, which must be as policy_read() says. For policy_loaded_deinit(), which
 * does not free a policy that was taken out. */
void policy_load(const char *path, struct policy_loaded *ret);
void policy_loaded_deinit(struct policy_loaded *loaded);
