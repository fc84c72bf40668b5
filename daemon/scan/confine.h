/* Giving up everything but a read-only view of one workspace. */
#pragma once

#include <sys/types.h>

/* Makes the folder `fd` its root and its working directory, and becomes that user without groups,
 * capabilities and further calls than confine.c lists. 0 or -errno: then the process must exit. */
int confine_enter(int fd, uid_t uid, gid_t gid);
