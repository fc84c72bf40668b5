/* A site policy as a file: read and checked without a daemon, for whom it is meant looked up. */
#pragma once

#include "site-policy.h"

/* A user as a policy sees one. */
struct policy_user {
    uint64_t uid, gid;
    gid_t *groups; /* supplementary ones */
    size_t n_groups;
};

/* Reads `path` ("-": standard input). 0 with a terminated text that is the caller's (free); -EINVAL
 * with *ret_error if it is too long; another -errno if it cannot be read. */
int policy_file_read_text(const char *path, char **ret, size_t *ret_size,
                          struct policy_error *ret_error);

/* The same, and parses it. 0 with *ret for site_policy_free(); -EINVAL
 * with *ret_error; another -errno if it cannot be read. No users are looked up. */
int policy_file_read(const char *path, struct site_policy **ret, struct policy_error *ret_error);

/* Tells the user what is wrong with the policy in a file: "FILE:3:5: $.rules: found ...". */
void policy_error_say(const char *file, const struct policy_error *error);

/* Tells the user of such a failure; the exit status. */
int policy_file_say(const char *path, int error, const struct policy_error *policy_error);

/* `name` is a name or number, or NULL for who runs cagectl. STATUS_OK with *ret for
 * policy_user_deinit(), or the exit status after telling the user. */
int policy_user_find(const char *name, struct policy_user *ret);
void policy_user_deinit(struct policy_user *user);
