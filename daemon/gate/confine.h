/* The gate's own cage: what it gives up before it reads a byte that an agent wrote. */
#pragma once

#include <sys/types.h>

/* Everything, in the order that confine.c explains. Descriptors below `first_own_fd` are inherited:
 * their sockets are shared with cagedd, so they cannot be shut down or dissolved. 0, or -errno with
 * *ret_step naming the step that failed; the process must then exit. There is no way back. */
int confine_enter(uid_t uid, unsigned first_own_fd, const char **ret_step);
