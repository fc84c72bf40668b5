/* The file of the site policy as the daemon takes it, and as 'cagectl policy check' judges it. */
#pragma once

#include <stddef.h>

#include "site-policy.h"

/* Reads the file at `path`, which must be a regular one of root's that nobody else may write, in a
 * folder of which the same is true: who can write it decides over the host. 0 with a terminated
 * text that is the caller's (free). -EPERM, -ELOOP, -EINVAL or -EFBIG: it is no such file; -ENOMEM;
 * another -errno if it cannot be read. All but -ENOMEM with *ret_error about the file as such. */
int policy_read(const char *path, char **ret_text, size_t *ret_size,
                struct policy_error *ret_error);

/* Fills `found` and `expected` of an error about the file as such and returns `error`. */
int policy_read_refuse(struct policy_error *ret, int error, const char *found,
                       const char *expected);
