/* What PID 1 does while the agent lives. */
#pragma once

#include <sys/types.h>

/* Becomes small and harmless: keeps no descriptor but `control` (0, 1 and 2 are the cage's
 * /dev/null, so that the output pipes end when the agent's processes do). Call as root, when the
 * agent's process exists. 0 or -errno. */
int reaper_prepare(void);

/* The system calls that the rest of PID 1's life needs, as a seccomp program. */
struct sock_fprog;
const struct sock_fprog *reaper_filter(void);

/* Reaps until the agent has died and reports it, or until the control socket speaks or ends.
 * Returns the exit status for _exit(2), whereupon the kernel kills all that is left in the cage. */
int reaper_run(int control, pid_t agent);
