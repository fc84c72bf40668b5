/* Which of the agents that ended are remembered.
 *
 * Each owner has AGENTS_ENDED_KEPT of them, and all together have AGENTS_ENDED_KEPT_ALL: what is
 * over either is forgotten, the oldest first. Over the bound of all it is the oldest of who has the
 * most, and of nobody who has no more than an equal part of the whole: so who has few keeps them
 * whatever others do, and where all have many each keeps the same.
 *
 * One that somebody still reads from, or whose entries the log has not all written, is not
 * forgotten; how many these can be is bounded elsewhere (CALLS_MAX, manager_count()). */
#pragma once

#include "manager.h"

/* An agent of this owner's has joined the ended ones. Frees what is forgotten, perhaps that one. */
void ended_agents_forget(struct manager *manager, uid_t owner);
