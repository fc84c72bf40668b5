/* A running agent gets or loses single hosts: ChangeHosts. */
#pragma once

#include "agent/agent-reload.h"
#include "agent/host-lists.h"

/* Changes what is in force, all of it or nothing. The agent must be running. As with agent_reload()
 * what is no longer allowed is cut when gate_supervisor_is_updated() says yes to *ret_update, and
 * `by` is for the log. 0 with *ret for agent_change_deinit(), whose `ignored` has the entries that
 * want a port of the host's loopback that is not led into the cage; on failure all is as it was:
 * -EINVAL, -EPERM or -E2BIG with *ret_fault, -EBUSY if the log has no room for the entry, or
 * -errno. */
int agent_change_hosts(struct agent *agent, const struct host_change *host_change, uid_t by,
                       struct agent_change *ret, struct host_change_fault *ret_fault,
                       uint64_t *ret_update);
