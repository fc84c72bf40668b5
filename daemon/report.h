/* What the world is told about agents: one log entry and one event each. */
#pragma once

#include "agent-reload.h"
#include "agent.h"

/* Life cycle: called by agent_set_state() alone. */
void report_state(struct agent *agent);

/* A decision of the agent's gate. */
void report_decision(struct agent *agent, const struct gate_decision *decision);

/* Other lists of hosts, asked for by the uid `by`. */
void report_reload(struct agent *agent, const struct agent_change *change, uid_t by);

/* So many connections that had been allowed were ended by other lists of hosts. */
void report_cut(struct agent *agent, uint64_t n);

/* A gate that died or misbehaved. */
void report_gate_failure(struct agent *agent, const char *why);

/* A spawn that was refused; `agent_id` is NULL if the card has none, `agent` what there is of the
 * agent so far, or NULL. */
void report_refusal(struct manager *manager, uid_t owner, const char *agent_id,
                    const struct agent *agent, const struct agent_problem *problem);
