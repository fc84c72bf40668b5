/* The states of an agent. */
#include "agent/agent-state.h"

#include "util.h"

static const char *const names[] = {
    [AGENT_STARTING] = "starting",
    [AGENT_RUNNING] = "running",
    [AGENT_STOPPING] = "stopping",
    [AGENT_ENDED] = "ended",
};
_Static_assert(ARRAY_SIZE(names) == AGENT_STATE_COUNT, "every state has a name");

const char *agent_state_to_string(enum agent_state state)
{
    return names[state];
}

int agent_state_from_string(const char *name, enum agent_state *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (streq(names[i], name)) {
            *ret = (enum agent_state)i;
            return 0;
        }
    }
    return -EINVAL;
}
