/* What passes between cagedd and caged-scan, which looks through a workspace after its agent's end
 * for files of the kinds of planted-kind.h that were created or changed since the agent's start.
 *
 *     caged-scan UID GID SECONDS NANOSECONDS
 *
 * UID and GID are those whom it becomes; SECONDS and NANOSECONDS since when, by the file system's
 * clock (CLOCK_REALTIME_COARSE). What it found goes as records (common/records.h) into
 * SCAN_FD_OUTPUT, SCAN_OUTPUT_MAX bytes at most. What does not end with SCAN_END is not all. */
#pragma once

#include <stdint.h>

enum scan_fd {
    SCAN_FD_OUTPUT = 1,
    SCAN_FD_WORKSPACE = 3, /* a read-only mount of the workspace, attached nowhere */
    SCAN_FD_PROTECTED = 4, /* from offset 0: struct protected_folder, PROTECT_REPOSITORIES_MAX of
                              them at most; cagedd never looks into it */
    SCAN_FD_COUNT = 5,
};

/* A git folder that caged-init protected from the agent's start on: it cannot have been put where
 * it is by the agent, and commits alone change it. */
struct protected_folder {
    uint64_t device; /* makedev(3) */
    uint64_t inode;
};

enum scan_record {
    SCAN_FOUND = 1, /* u8 enum planted_kind, u8 enum planted_change, then the path from the
                       workspace on: 1 to SCAN_PATH_MAX bytes without NUL */
    SCAN_CUT,       /* the same, of a path that goes on */
    SCAN_MORE,      /* u64, once, if there are any: how many more were found */
    SCAN_END,       /* u64, once, last: enum scan_result */
};

enum scan_result {
    SCAN_COMPLETE,
    SCAN_TOO_MANY, /* SCAN_ENTRIES_MAX */
    SCAN_TOO_DEEP, /* SCAN_DEPTH_MAX: what lies deeper was not looked at */
    SCAN_TOO_LONG, /* SCAN_SECONDS */
    SCAN_FAILED,   /* a folder could not be read */
    SCAN_RESULT_COUNT,
};
