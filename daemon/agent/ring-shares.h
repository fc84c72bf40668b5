/* How much of their output the agents' rings may keep in memory: AGENT_RING_SIZE each, or equal
 * parts of what an owner, or all together, may have (AGENT_RINGS_PER_UID_MAX, AGENT_RINGS_MAX).
 * What falls out for that is in the log, as what falls out of any ring. */
#pragma once

struct manager;

/* After an agent has come, or was forgotten. */
void ring_shares_update(struct manager *manager);
