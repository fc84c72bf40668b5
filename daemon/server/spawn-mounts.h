/* The mounts of a card, out of a Spawn. */
#pragma once

#include <jansson.h>

#include "agent/agent-problem.h"
#include "paths/workspace.h"
#include "server/methods.h"

/* Checks and clones each: `fds` are the indexes of the descriptors, one for each of the card's
 * mounts, or NULL, where root's paths are opened. `request` is that of the workspace, whose roots
 * are replaced. 0 with *ret, NULL without any, for workspaces_free(); or -errno with *problem. */
int spawn_mounts_take(struct call *call, const json_t *fds, const struct card *card,
                      const struct workspace *workspace, const struct workspace_request *request,
                      struct workspace **ret, struct agent_problem *problem);
