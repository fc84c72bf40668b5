/* What the root file system of a cage consists of, as data: rows in the order in which they are
 * made. Paths are relative to the new root; sources that begin with "/" are the host's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "spec.h"

enum root_kind {
    ROOT_DIRECTORY,   /* root's, with `mode` */
    ROOT_LINK,        /* symbolic link to `source` */
    ROOT_HOST_LINK,   /* the same link as the host's `source`, which must lead below /usr */
    ROOT_FILE,        /* root's, 0644, with the text of `generate` or else `source` */
    ROOT_BIND_FILE,   /* the host's file `source`, read-only, nosuid, nodev, idmapped: its owner */
    ROOT_BIND_TREE,   /* root is root inside; the same with a folder and what is mounted in it */
    ROOT_DEVICE,      /* the host's device node `source`; the only mounts without nodev */
    ROOT_TMPFS,       /* root's, nosuid, nodev, of the specified size, with `mode` */
    ROOT_AGENT_TMPFS, /* the same, but the agent's */
    ROOT_TERMINALS,   /* a devpts of the cage's own */
    ROOT_READ_ONLY,   /* what is there, read-only */
    ROOT_MASK_FILE,   /* covered with /dev/null */
    ROOT_MASK_TREE,   /* covered with an empty read-only folder */
    ROOT_KIND_COUNT,
};

struct root_row {
    enum root_kind kind;
    const char *target;
    const char *source;
    mode_t mode;
    bool optional; /* left out if the host has no such source or target */
    /* Writes the text of a ROOT_FILE; the length, or >= size if it does not fit. */
    int (*generate)(const struct init_spec *spec, char *buffer, size_t size);
};

extern const struct root_row root_table[];
extern const size_t root_table_size;
