/* Why an agent could not be started, or was lost: for the one who asked, and for the log. */
#pragma once

#include "util.h"

enum agent_failure {
    FAILURE_NONE,
    FAILURE_SPAWN,     /* a step failed: `step`, `error`, `why` */
    FAILURE_SUPPORT,   /* the host cannot give it: `step` is what, `why` */
    FAILURE_PERMITTED, /* not the caller's to use: `step` is what, `why` */
    FAILURE_CARD,      /* `step` is the JSON path, `why` what was expected, `found` */
    FAILURE_EXISTS,    /* `step` is the id */
    FAILURE_BUSY,      /* `step` is the limit, `error` its maximum */
};

struct agent_problem {
    enum agent_failure failure;
    int error;              /* positive errno, where there is one */
    unsigned retry_seconds; /* of FAILURE_BUSY: when another try has room; 0: nobody can tell */
    char step[256];
    char found[160];
    char why[512];
};

/* Replaces what is in `problem`, with `found` empty; texts are cut. Returns `error`, a negative
 * errno, for `return`. */
int agent_problem_set(struct agent_problem *problem, enum agent_failure failure, int error,
                      const char *step, const char *why_format, ...) PRINTF_LIKE(5, 6);
