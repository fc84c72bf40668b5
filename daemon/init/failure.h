/* What went wrong while the cage was built: one value that every step fills and that main turns
 * into the FAILED message. */
#pragma once

struct failure {
    const char *step;   /* static: one of the names that main.c lists */
    const char *detail; /* static or in the specification's mapping; NULL: none */
};

/* Notes step and detail and returns `error` (a negative errno) for `return`. */
static inline int failure_set(struct failure *f, const char *step, const char *detail, int error)
{
    f->step = step;
    f->detail = detail;
    return error;
}
