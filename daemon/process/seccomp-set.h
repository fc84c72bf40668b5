/* All seccomp profiles of the data folder, compiled once at start. */
#pragma once

#include "util.h"

struct seccomp_set {
    struct seccomp_entry *entries;
    size_t n_entries;
};

#define SECCOMP_SET_INIT ((struct seccomp_set){.n_entries = 0})

/* Compiles every NAME.json of the folder whose name a card can say. One that does not compile is
 * logged and stays unusable; that, or a missing one, is a failure for
 * CARD_SECCOMP_PROFILE_DEFAULT. 0 with a set for seccomp_set_deinit(), or -errno, which is logged.
 */
int seccomp_set_load(const char *folder, struct seccomp_set *ret);
void seccomp_set_deinit(struct seccomp_set *set);

/* The memfd of that profile, which stays the set's; -ENOENT if there is none, or -EINVAL if it did
 * not compile, with *ret_why, the set's: a sentence. */
int seccomp_set_get(const struct seccomp_set *set, const char *name, const char **ret_why);
