/* Making single files and folders of the workspace read-only in the cage, or at least such that
 * they cannot be moved away: by mounts on top of themselves. What is mounted on cannot be renamed
 * or removed in its mount namespace (EBUSY), though the folders above it can.
 *
 * Whatever is below the workspace may be an earlier agent's work, and another may be changing it
 * now: everything is opened by one name at a time, no symbolic link is ever walked, and the caller
 * has the file system ids of the agent (root_act_as), so that nothing can be done here that the
 * agent could not have done by itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "caged-limits.h"
#include "failure.h"

enum guard_mode {
    GUARD_AS_IT_IS, /* as the mount that it lies in */
    GUARD_WRITABLE,
    GUARD_READ_ONLY,
    GUARD_READ_ONLY_BELOW, /* with whatever is mounted in it by then */
};

struct guard {
    uid_t agent;                 /* as the workspace's mount shows its id */
    const char *top;             /* where the workspace is mounted, without the slash before it */
    char path[PROTECT_PATH_MAX]; /* of the folder that is looked at, from the workspace on; for
                                    reasons */
    size_t path_length;
    struct failure *failure;
};

/* Notes "PATH/NAME sentence" and what can be done about it. Returns `error`. */
int guard_refuse(struct guard *g, const char *name, const char *sentence, int error);

/* The path of the folder that is looked at gets one more name, and loses it again. -ENAMETOOLONG
 * after guard_refuse(). */
int guard_enter(struct guard *g, const char *name, size_t *ret_before);
void guard_leave(struct guard *g, size_t before);

/* A descriptor (O_PATH) of what has this name in a folder; -errno, -ELOOP for a symbolic link.
 * Nothing is noted. */
int guard_open(int folder, const char *name);

/* Whether there is anything of this name, a link too: 1, 0 or -errno. */
int guard_has(int folder, const char *name);

/* Whether it is the root of a mount, by an earlier guard_bind(). */
bool guard_is_mounted(int fd);

/* The same of one that is read-only. */
bool guard_is_read_only(int fd);

/* Mounts it on itself, or changes the mount that it is the root of: a descriptor of that root, or
 * -errno. What is mounted in it stays. */
int guard_bind(int fd, enum guard_mode mode);

/* Opens, checks and mounts a folder; `make`: makes it if it is not there. 1 with *ret, the
 * caller's, 0 if there is none (and, with `make`, the agent cannot make one either), or -errno
 * after guard_refuse(). */
int guard_folder(struct guard *g, int folder, const char *name, enum guard_mode mode, bool make,
                 int *ret);

/* Makes a regular file read-only. One that is not there is made with `content`, or if that is NULL
 * left. 1, 0 and -errno as above. */
int guard_file(struct guard *g, int folder, const char *name, const char *content);

/* Calls `visit` for each name in a folder but "." and "..", up to `maximum`; `type` is DT_DIR, ...,
 * never DT_UNKNOWN. Ends with the first result below 0. 0, or -errno after guard_refuse(). */
int guard_each(struct guard *g, int folder, size_t maximum,
               int (*visit)(struct guard *g, int folder, const char *name, unsigned char type));
