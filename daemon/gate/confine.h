/* The gate's own cage: what it gives up before it reads a byte that an agent wrote. */
#pragma once

#include <sys/types.h>

/* Everything, in the order that confine.c explains. 0, or -errno with *ret_step naming the step
 * that failed; the process must then exit. There is no way back. */
int confine_enter(uid_t uid, const char **ret_step);

/* How many descriptors the gate may ever have open. */
unsigned confine_descriptors_max(void);
