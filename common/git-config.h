/* Git's configuration format (git-config(1), "Syntax"), for the few names that say where more of
 * what git runs lies: core.hooksPath, include.path and includeIf.*.path; and core.worktree, from
 * where a relative hooksPath counts. Pure, without allocation: what is read may be anybody's.
 *
 * What git refuses is refused here, and also what versions of git read in different ways: a value
 * that is wanted with a tab or the like in it outside of quotes, or with a NUL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "caged-limits.h"

enum git_config_key {
    GIT_CONFIG_HOOKS_PATH,   /* core.hooksPath */
    GIT_CONFIG_INCLUDE_PATH, /* include.path, includeIf.*.path */
    GIT_CONFIG_WORK_TREE,    /* core.worktree */
    GIT_CONFIG_KEY_COUNT,
};

struct git_config {
    ssize_t (*read)(void *context, char *buffer, size_t size);
    void *context;
    char buffer[2048];
    size_t at, n; /* of `buffer` */
    int held;     /* a byte that was read too early, or -1 */
    bool at_end;
    int error;     /* of `read` */
    unsigned line; /* the one that is being read, from 1 */
    char section[16];
    bool has_subsection;
};

/* `read` is like read(2), but with -errno; `context` is its own. */
void git_config_init(struct git_config *config,
                     ssize_t (*read)(void *context, char *buffer, size_t size), void *context);

/* The next value of one of these names, unquoted: 1 with *ret_key and `value`, 0 at the end,
 * -EBADMSG for what is no configuration (config->line says where), -ENAMETOOLONG for a value that
 * does not fit, or what `read` returned. After anything but 1 it is at its end. A name without a
 * value, which git refuses for these, is left out. */
int git_config_next(struct git_config *config, enum git_config_key *ret_key,
                    char value[PROTECT_PATH_MAX]);
