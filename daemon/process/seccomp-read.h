/* What a seccomp profile says, from JSON to libseccomp's terms: every object has only keys that are
 * known, of the type that they have. For seccomp-profile.c, which makes a program of it.
 *
 * All return 0 or -errno: -EINVAL for what is no profile, -ENOMEM; *ret_why is then a sentence that
 * names the object (the caller's), or untouched (-ENOMEM). */
#pragma once

#include <jansson.h>
#include <seccomp.h>
#include <stdint.h>

/* Reads the file and checks its top. A new reference, with what its default action is as one of
 * libseccomp's. Another -errno if it can't be read. */
int seccomp_read_file(const char *path, json_t **ret, uint32_t *ret_default_action, char **ret_why);

#define SECCOMP_ARGUMENTS_MAX 6 /* of a system call */

/* An entry of `syscalls`: what is done with calls of these names whose arguments compare so. */
struct seccomp_rule {
    uint32_t action;
    const json_t *names; /* strings; borrowed from the entry */
    struct scmp_arg_cmp arguments[SECCOMP_ARGUMENTS_MAX];
    unsigned n_arguments;
};

/* `what` names the entry for the sentence: "syscalls[3]". */
int seccomp_read_entry(json_t *entry, const char *what, struct seccomp_rule *ret, char **ret_why);

/* An entry of `archMap`, borrowed from it. */
struct seccomp_map_row {
    const char *architecture;
    const json_t *others; /* that are allowed beside it; NULL: none. Its items are not checked. */
};

int seccomp_read_map_row(json_t *row, struct seccomp_map_row *ret, char **ret_why);
