/* Agents that did not come to be, whose process is being ended. It is in its card's cgroup, where
 * it gets as little of the processors as its card and its owner's other agents leave it, and may
 * take minutes to end: nobody waits for that. Until then it has its id, its slot and its cgroup,
 * and counts as an agent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct agent;
struct manager;

/* Ends what an agent that is in no list has in the kernel, its one process first, and frees it: at
 * once, or when that process has ended. */
void condemned_end(struct agent *agent);

/* Whether one has this id; how many there are of an owner, or of all (NULL). */
bool condemned_has(const struct manager *manager, uid_t owner, const char *agent_id);
size_t condemned_count(const struct manager *manager, const uid_t *owner);

/* Waits for the end of all. */
void condemned_end_all(struct manager *manager);
