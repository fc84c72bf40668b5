/* The states of an agent (agent.h has what leads from one to the other). Their names stand in
 * io.caged.varlink (type State). */
#pragma once

enum agent_state {
    AGENT_STARTING,
    AGENT_RUNNING,
    AGENT_STOPPING,
    AGENT_ENDED,
    AGENT_STATE_COUNT,
};

const char *agent_state_to_string(enum agent_state state);
int agent_state_from_string(const char *name, enum agent_state *ret); /* 0 or -EINVAL */
