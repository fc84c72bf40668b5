/* What the world is told of the network of agents: one log entry and one event for each decision of
 * a gate, and for each end of what it allowed. */
#pragma once

#include "agent/agent.h"

/* A decision of the agent's gate; it is counted. */
void report_decision(struct agent *agent, const struct gate_decision *decision);

/* A request that had been allowed is over. */
void report_request_end(struct agent *agent, const struct gate_end *end);

/* So many connections that had been allowed were ended by other lists of hosts. */
void report_cut(struct agent *agent, uint64_t n);

/* A gate that died or misbehaved, and of how many requests it has not told the end. */
void report_gate_failure(struct agent *agent, const char *why, uint64_t n_without_end);
