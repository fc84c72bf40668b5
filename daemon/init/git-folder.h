/* One git folder (gitrepository-layout(5)) of those that protect: ["git"] protects. */
#pragma once

#include "guard.h"

/* Makes configuration and hooks read-only, with those of its submodules and worktrees, and what
 * the configuration names. `git` is mounted on itself already; the path that is looked at is its
 * own. 0, or -errno after guard_refuse(). */
int git_folder_protect(struct guard *g, int git);

/* The git folder of a linked worktree that a .git file leads to: its commondir and configuration
 * become read-only, it stays writable. 0, or -errno after guard_refuse(). */
int git_folder_protect_worktree(struct guard *g, int git);
