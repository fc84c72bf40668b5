/* Where the paths lead that a repository has in its files: pure, by their text alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "caged-limits.h"

/* Puts `path`, as seen from the folder `base` of the workspace, into `buffer` (from the workspace
 * on, without "." and ".."; "" is the workspace itself). `host` is what the workspace is called on
 * the host; "": that is not known, so that an absolute path leads out of it.
 *
 * 1; 0 if it leads out of the workspace, -EINVAL for a ".." behind a name, since nobody keeps the
 * agent from making a symbolic link of that name; -ENAMETOOLONG. */
int git_path_resolve(const char *host, const char *base, const char *path, char *buffer,
                     size_t size);

/* Whether `path` is `folder` or lies somewhere in it; both from the workspace on. */
bool git_path_is_in(const char *path, const char *folder);

/* The same without its last name, "" for one name alone; it is shorter than PROTECT_PATH_MAX.
 * Returns that name, in `path`. */
const char *git_path_split(const char *path, char parent[PROTECT_PATH_MAX]);
