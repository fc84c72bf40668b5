/* The walk through a workspace, which is the root and the working directory. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "caged-limits.h"
#include "scan-proto.h"

/* Nothing but folders is ever opened, and none by a symbolic link. */
#define WALK_OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

struct walk_options {
    struct timespec since;
    struct protected_folder protected[PROTECT_REPOSITORIES_MAX];
    size_t n_protected;
};

/* Tells (output.h) of what was created or changed since then; the result is for output_end(). */
enum scan_result walk(const struct walk_options *options);
