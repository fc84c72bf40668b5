/* Where in a cage the mounts of a card may be. Pure: for the card's validator and, so that nobody
 * else has to be believed, for caged-init. */
#pragma once

#include <stdbool.h>

/* For people. */
#define MOUNT_TARGET_EXPECTED                                                                      \
    "/data, /mnt, /opt, /srv or a path below one of them, or one below /home/agent, of at most "   \
    "255 bytes, without \"..\", \".\", double slashes and control characters"

/* Whether it says only one thing (no empty component, no "." or ".."), is no longer than
 * CARD_MOUNT_TARGET_MAX and lies where it may. */
bool mount_target_valid(const char *path);

/* Whether two valid ones are the same, or one lies inside the other. */
bool mount_targets_overlap(const char *a, const char *b);
