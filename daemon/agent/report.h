/* What the world is told about agents: one log entry and one event each. Of their network:
 * report-network.h. */
#pragma once

#include "agent/agent-reload.h"
#include "agent/agent.h"

/* Life cycle: called by agent_set_state() alone. */
void report_state(struct agent *agent);

/* Other lists of hosts, asked for by the uid `by`. */
void report_reload(struct agent *agent, const struct agent_change *change, uid_t by);

/* A spawn that was refused; `agent_id` is NULL if the card has none, `agent` what there is of the
 * agent so far, or NULL. */
void report_refusal(struct manager *manager, uid_t owner, const char *agent_id,
                    const struct agent *agent, const struct agent_problem *problem);
