/* Where a folder lies, by the kernel's own links from each folder to the one above it: no name that
 * a user could change is looked up, and no file system of a user's program is ever asked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"

/* What makes a folder that folder. */
struct place_id {
    uint64_t mount;
    uint64_t inode;
    uint32_t major, minor;
};

/* The folder itself, then each above it, the last being "/". */
struct place {
    struct place_id ids[FOLDER_DEPTH_MAX];
    size_t count;
};

/* 0 or -errno. */
int place_id_of(int fd, struct place_id *ret);

/* The same for an absolute path of the system's own; nothing is mounted by it. `link`: whether a
 * symbolic link at its end is followed. */
int place_id_of_path(const char *path, bool link, struct place_id *ret);

/* Fills *ret, also in part where it fails: 0; -E2BIG if it lies deeper than FOLDER_DEPTH_MAX;
 * -EXDEV if it does not lie below "/", or only by way of a program's file system; -errno. A folder
 * on the way may be moved meanwhile: each step is true, all of them together perhaps never were. */
int place_find(int fd, struct place *ret);

/* The same folder; by place_is_same_mount() also by way of the same mount. */
bool place_is_same(const struct place_id *a, const struct place_id *b);
bool place_is_same_mount(const struct place_id *a, const struct place_id *b);

/* Opens an absolute path (O_PATH) in which nothing is a symbolic link, "." or "..", without asking
 * a program's file system or having anything mounted. A descriptor; -ELOOP for a link; -EXDEV where
 * such a file system is in the way; -errno. */
int place_open(const char *path);

/* Opens (O_PATH) a relative path below a folder, without following links: openat2(2)
 * RESOLVE_BENEATH, with RESOLVE_CACHED so that it does not wait. A descriptor; -EAGAIN if it would
 * have to wait; -errno. */
int place_open_beneath(int folder, const char *path);
