/* Building the root file system of a cage and moving into it. */
#pragma once

#include "failure.h"
#include "spec.h"

struct root {
    const struct init_spec *spec;
    int userns_fd;    /* the cage's map, borrowed */
    int workspace_fd; /* detached mount, borrowed */
};

/* First step: makes all mounts private to the cage, mounts the empty root and its /proc, and makes
 * it the working directory. 0 or -errno with *failure. */
int root_begin(const struct init_spec *spec, struct failure *failure);

/* Second: everything in root_table, the workspace, the files of the specification, the mounts. */
int root_fill(const struct root *root, struct failure *failure);

/* Last: makes it read-only and the root of the process; nothing of the host's mounts stays. */
int root_enter(struct failure *failure);
