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

/* Third: makes it read-only and the root of the process. */
int root_enter(struct failure *failure);

/* Last, before anything of the agent's runs: nothing of the host's mounts stays. A process that was
 * forked since root_enter() has the new root too; it must name everything by its path from there,
 * as "." is below the old one until now. */
int root_detach_old(struct failure *failure);
