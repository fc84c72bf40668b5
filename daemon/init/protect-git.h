/* protect: ["git"]. A caged agent could leave code in a repository that the user's own git runs
 * later: hooks, and what the configuration names (core.fsmonitor, core.hooksPath, core.sshCommand,
 * filters, diff and merge drivers, aliases, credential.helper, include.path, ...). */
#pragma once

#include "failure.h"
#include "spec.h"

/* Makes hooks and configuration read-only in the cage, for each repository at the top of the
 * workspace (or of another folder that the agent may write in), which is mounted at `path`,
 * relative to the working directory: the workspace itself, and each folder directly in it; and also
 * where their configuration names more of these in the workspace. `host` is its path on the host,
 * by which a configuration may name it, or "". The caller's file system ids become the agent's and
 * then root's again. 0, or -errno with *failure if something cannot be protected. */
int protect_git(const struct init_spec *spec, const char *path, const char *host,
                struct failure *failure);
