/* The agents that a command line names. */
#pragma once

#include "agent.h"
#include "options.h"

/* `id` with the owner of --owner, if given. STATUS_OK, or the exit status after telling the user
 * that there is no such user. */
int target_from_options(const struct options *options, const char *id, struct agent_name *ret);
