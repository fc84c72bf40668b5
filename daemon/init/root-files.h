/* Files of the cage that are written, not mounted: those of the table and of the specification. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "failure.h"
#include "spec.h"

/* Makes the process create files as this id of the host (setfsuid(2), setfsgid(2)); 0 is itself.
 * -EPERM if the kernel didn't. */
int root_act_as(uid_t id);

/* The folder `path`, absolute, below the working directory, and those above it that are not there
 * yet, all of them the owner's, 0755. No link is followed. 0 or -errno. */
int root_make_folders(const char *path, uid_t owner);

/* A new file, 0644, relative to the working directory. 0 or -errno, -EEXIST too. */
int root_file_write(const char *path, const void *content, size_t size);

/* All files of the specification below the working directory, which is the new root. Needs
 * CAP_DAC_OVERRIDE and CAP_CHOWN, since root's files may lie in the agent's home. */
int root_place_files(const struct init_spec *spec, struct failure *failure);
