/* What all agents of one owner and their gates may have together: the limits of the folder
 * `owner-UID` that theirs are in, of cgroup v2 or v1. */
#pragma once

#include "cgroup/cgroup.h"
#include "site-policy.h"

#define CGROUP_OWNER_LIMITS_MAX 8

struct cgroup_owner {
    uid_t uid;
    struct policy_total total;
    struct cgroup_applied limits[CGROUP_OWNER_LIMITS_MAX]; /* as Inspect tells them */
    size_t n_limits;
    bool above; /* more is in use than the total: see cgroup_owner_lower */
};

/* Makes the owner's folders where they are not there, and writes the total into them; what the
 * total leaves out is not limited any more. For before an agent's folder is made, and for when the
 * total changes. Where more memory is in use already than the total nothing is killed: the limit
 * becomes what is in use, nothing more can be had, and `above` says so. On success what `owner` had
 * is replaced. -ENOTSUP with *ret_why (the total and the reason; the caller's) if it cannot be
 * enforced; what was in force then stays in force, or is undone as far as the kernel lets it. */
int cgroup_owner_limit(const struct cgroup_host *host, struct cgroup_owner *owner,
                       const struct policy_total *total, char **ret_why);

/* A step on the way from what is in use down to the total, for an owner that is `above`: has the
 * kernel drop some of the files that it only keeps for speed, and lowers the limit to what is in
 * use then. Takes some ten milliseconds at most. True if it got lower. */
bool cgroup_owner_lower(const struct cgroup_host *host, struct cgroup_owner *owner);

/* What of the total has no room for one agent more, in which nothing runs yet: the name of the
 * total ("memory_mb"), with its number, or NULL. */
const char *cgroup_owner_is_full(const struct cgroup_host *host, const struct cgroup_owner *owner,
                                 uint64_t *ret_maximum);

/* Whether one task more is within the total. Where a task is born into its cgroup the kernel asks
 * that itself; one that joins a cgroup of v1 is let in whatever the limit says. */
bool cgroup_owner_has_task(const struct cgroup_host *host, const struct cgroup_owner *owner);

/* Removes the owner's folders, if nothing is in them. */
void cgroup_owner_leave(const struct cgroup_host *host, uid_t uid);

void cgroup_owner_deinit(struct cgroup_owner *owner);
