/* What an agent was refused and its operator could let through: hosts with their ports, so that
 * they can be shown and suggested (Hosts). A bounded memory: what comes when it is full is counted
 * alone. Nothing but memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"

struct refused_host {
    char *host;
    char *address; /* the one that was refused; "" where it was the name */
    char code[32];
    uint16_t port;
    uint64_t count, last_usec;
};

struct refused_hosts {
    struct refused_host *items; /* in the order in which they were first refused */
    size_t count;
    uint64_t lost; /* refusals that are not among them, for want of room */
};

struct refusal_note { /* strings are borrowed for the call */
    const char *host, *address, *code;
    uint16_t port;
    uint64_t count; /* so many of the same */
    uint64_t usec;  /* CLOCK_REALTIME */
};

/* Keeps it if another list of hosts would have let it through: the others are no matter of lists.
 * `host` is "" where several were added up. */
void refused_hosts_note(struct refused_hosts *hosts, const struct refusal_note *note);
void refused_hosts_deinit(struct refused_hosts *hosts);
