/* A card or a policy as a file that the user named: read whole, and what is said of it. "-" is
 * standard input. */
#pragma once

#include <stddef.h>

#include "card.h"
#include "options.h"

/* What people know it by: the path as it was given, or "standard input". Borrowed. */
const char *input_file_name(const char *path);

/* Reads all of it, at most `max` bytes. 0 with a terminated text that is the caller's (free);
 * -EINVAL with *ret_error where it is too long, or a FIFO with a name; another -errno, never
 * -EINVAL, if it cannot be read. */
int input_file_read(const char *path, size_t max, char **ret, size_t *ret_size,
                    struct card_error *ret_error);

/* "FILE: ok", unless --quiet. The exit status. */
int input_file_say_ok(const struct options *options, const char *path);
