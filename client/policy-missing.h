/* What a site policy lets cards name and is not installed. */
#pragma once

#include <stddef.h>

#include "site-policy.h"

struct policy_missing {
    const char *rule; /* its name; borrowed, as all of this */
    char path[128];   /* "$.rules[1].presets[0]" */
    const char *what; /* "preset", "seccomp profile" */
    const char *name; /* "codex" */
    const char *folder;
};

/* Tells each entry of `presets` and `seccomp_profiles` but "*" for which there is nothing in the
 * data folder. Cards are refused then that name it, one by one, when they are spawned. 0, or -errno
 * with *ret_folder (for free(3), or NULL) if one of its folders cannot be read. Folders are looked
 * into only for what is named. */
int policy_missing(const struct site_policy *policy, const char *data_dir,
                   void (*tell)(void *user, const struct policy_missing *missing), void *user,
                   char **ret_folder);
