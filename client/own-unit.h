/* The systemd unit that this process runs in, for `cagectl service`. */
#pragma once

#include <stdbool.h>

/* Makes room for an agent in the cgroup of our unit: moves this process out of the unit's own
 * folder into one below ("no internal processes", cgroup-v2.rst), and ends what an earlier run has
 * left in the agent's folder. STATUS_OK, or the exit status after telling the user, also where this
 * is no unit of systemd's. */
int own_unit_prepare(const char *agent_id);

/* Whether systemd waits for messages (sd_notify(3)). */
bool own_unit_is_notified(void);
