/* The look through an agent's workspace after its end, for files of planted-kind.h: by caged-scan,
 * a process of its own in the agent's cgroup.
 *
 *   NONE --agent_scan_start()--> RUNNING --its end, or the time is over--> OVER
 *
 * What it writes fits into its pipe, and is read when it has ended: nothing here ever waits. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "agent/planted-list.h"

struct agent;

enum agent_scan_state {
    AGENT_SCAN_NONE, /* not yet, or nothing of the agent ever ran */
    AGENT_SCAN_RUNNING,
    AGENT_SCAN_OVER,
};

struct agent_scan {
    enum agent_scan_state state;
    int tree;              /* a mount of the workspace, attached nowhere; the agent_scan's own */
    int protected;         /* memfd, SCAN_FD_PROTECTED; none without `protect` */
    struct timespec since; /* by the clock of file systems */
    int64_t clock_offset;  /* then: CLOCK_REALTIME - CLOCK_BOOTTIME, nanoseconds */
    int pidfd, output;
    bool late; /* it was killed, as its time was over */
    sd_event_source *exit_source, *timer;
    struct planted_list found; /* once it is OVER */
};

#define AGENT_SCAN_INIT                                                                            \
    ((struct agent_scan){.tree = -EBADF, .protected = -EBADF, .pidfd = -EBADF, .output = -EBADF})

/* From now on what is changed counts: before the agent's first process runs. */
void agent_scan_set_start(struct agent_scan *scan);

/* Begins, when the last process of the cage is gone; agent_scan_over() tells of its end. If it
 * cannot begin it is OVER at once, and the list says why. */
void agent_scan_start(struct agent *agent);

/* The daemon is being stopped: it may take SCAN_SECONDS_SHUTDOWN from now on at most. */
void agent_scan_hurry(struct agent *agent);

void agent_scan_deinit(struct agent_scan *scan);

/* Of agent-supervise.c: it is OVER now. May free the agent. */
void agent_scan_over(struct agent *agent);
