/* What a repository's configuration names in the workspace: a folder of hooks (core.hooksPath) and
 * further configuration (include.path, includeIf.*.path). */
#pragma once

#include "guard.h"

/* Reads that file in a git folder, if it is there, and what it includes; makes read-only what they
 * name in the workspace, and makes it, empty, where it is missing. `top` is the work tree's own
 * folder, from the workspace on; NULL: it is not in there, or unknown. The path that is looked at
 * is the git folder's. 0, or -errno after guard_refuse(). */
int git_named_protect(struct guard *g, int git, const char *name, const char *top);

/* The same for both configurations of a repository, and the work tree that they or the place of
 * the git folder name. */
int git_named_protect_repository(struct guard *g, int git);
