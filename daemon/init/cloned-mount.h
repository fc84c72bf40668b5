/* A detached clone of a user's mount (open_tree(2), OPEN_TREE_CLONE) and its way into the cage. */
#pragma once

#include <stdint.h>

#include "userns.h"

/* Sets mount attributes (mount_setattr(2): MOUNT_ATTR_...), those it has stay, and the map of a
 * user namespace. -EINVAL: its file system cannot be idmapped. 0 or -errno. */
int cloned_mount_idmap(int fd, int userns_fd, uint64_t attributes);

/* Mounts it at `target`, relative to the working directory. 0 or -errno. */
int cloned_mount_attach(int fd, const char *target);

/* The map of one kind of ids: on disk the agent is `owner`. The kernel lets nobody write to what
 * belongs to an id without a counterpart, whatever its mode says; so a folder of somebody else's,
 * in which the owner may write, gets one that nobody in the cage is. What belongs to third ones
 * below it stays read-only. */
struct id_maps cloned_mount_map(uint32_t uid_base, uint32_t owner, uint32_t folder);
