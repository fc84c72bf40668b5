/* What is remembered of the decisions of an agent's gate, for Hosts: what waits for an answer, and
 * what was refused. */
#pragma once

#include "agent/agent.h"

void agent_note_decision(struct agent *agent, const struct gate_decision *decision);

/* Its gate is gone, and all that waited with it. */
void agent_note_gate_gone(struct agent *agent);
