/* Attempts to get out of a cage, one each, with the exact refusal that is expected. */
#pragma once

#include <stddef.h>

#define ATTEMPT_ERRORS_MAX 2

struct attempt {
    const char *name;
    /* 0 if it got out; otherwise -errno, the refusal. `arguments` are those of the command line,
     * NULL at the end. */
    int (*run)(char **arguments);
    int expected[ATTEMPT_ERRORS_MAX]; /* positive errnos; a second one where kernels differ */
    const char *arguments;            /* what it needs on the command line, or NULL */
};

/* One system call is the whole attempt. */
struct call_attempt {
    const char *name;
    int expected[ATTEMPT_ERRORS_MAX];
    long number;
    long arguments[6];
};

extern const struct call_attempt call_attempts[];
extern const size_t n_call_attempts;
extern const struct attempt file_attempts[];
extern const size_t n_file_attempts;
extern const struct attempt mount_attempts[];
extern const size_t n_mount_attempts;
extern const struct attempt process_attempts[];
extern const size_t n_process_attempts;
extern const struct attempt network_attempts[];
extern const size_t n_network_attempts;
