/* Paths that say only one thing: what the kernel resolves is what is written. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The length of an absolute path without one slash at its end, or 0 unless it is plain: no empty
 * component, no "." or "..", no control character, which could forge a line of a log or a table. 0
 * for "/" too. */
size_t plain_path_length(const char *path);

/* Whether the first `length` bytes of `name`, without a slash in them, are the name of one file:
 * not empty, "." or "..". */
bool plain_path_is_name(const char *name, size_t length);

/* Whether a plain path is `folder`, or lies below it; both without a slash at their end. */
bool plain_path_is_within(const char *path, const char *folder);
