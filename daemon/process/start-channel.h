/* How a process that is just being started gets its descriptors, and no copy of any other of the
 * daemon's.
 *
 * A copy of what a user sent would have to be closed, and the close of a file of a FUSE lasts until
 * the user's own program answers, killed or not: caged-init would hang before it runs, for every
 * user. So the process shares the daemon's table of descriptors (CLONE_FILES) until it takes one of
 * its own in which there are only the lowest numbers (close_range(2), CLOSE_RANGE_UNSHARE). These
 * START_CHANNELS numbers are the daemon's from its start on, none of a user's is ever among them;
 * at one of them the process finds a socket, and in that the descriptors that are for it
 * (SCM_RIGHTS, unix(7)). The daemon waits for none of this. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Takes the low numbers: first of all, before anything else is opened. 0 or -errno. */
int start_channels_reserve(void);

/* Puts these descriptors, which stay the caller's, up for the next process, which is one of this
 * user's: its channel, or -errno; -EXFULL while as many processes as there are channels have not
 * taken theirs, -EBUSY while START_CHANNELS_PER_UID_MAX of the user's have not (they are in their
 * cgroups then, where the user's others may leave them hardly any of the processors), -E2BIG for
 * more than one message carries (SOCKET_DESCRIPTORS_MAX). */
int start_channel_put(uid_t user, const int *fds, size_t n);

/* In the new process, which shares the table: the table becomes its own, and fds[0..n) are what was
 * put. They and all others are close-on-exec. 0 or -errno. */
int start_channel_take(int channel, int *fds, size_t n);

/* Whose the channel is; or, with pid -1, that there is no such process. */
void start_channel_assign(int channel, pid_t pid);

/* The process has ended: what it did not take is closed. */
void start_channel_forget(pid_t pid);
