/* The folder of an owner with a total of memory that stays although no agent is in it any more:
 * while processes outside hold what its agents had (a memfd that was sent over a socket in the
 * workspace). With the folder the kernel would forget whose that is, and agents that come after
 * would have the whole total anew. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct cgroup_host;

/* Whether memory is held that counts for this owner, and is no file of a disk. For an owner none of
 * whose processes is there any more. */
bool cgroup_kept_is_needed(const struct cgroup_host *host, uid_t uid);

/* Keeps the owner's folder by one in it. 0 or -errno. */
int cgroup_kept_make(const struct cgroup_host *host, uid_t uid);

/* Removes both; of the owner's what has nothing else in it. */
void cgroup_kept_remove(const struct cgroup_host *host, uid_t uid);
