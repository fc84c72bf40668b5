/* A .git that is a file: of a worktree, a submodule, or git init --separate-git-dir. */
#pragma once

#include "guard.h"

/* Makes it read-only in `folder`, and protects the git folder that it leads to, if that is in the
 * workspace. 0, or -errno after guard_refuse(). */
int git_file_protect(struct guard *g, int folder);
