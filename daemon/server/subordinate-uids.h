/* The uids that subuid(5) has given to users for namespaces of theirs. Such a user can also become
 * one of them outside of any namespace, by a setuid file that is made inside: so they are no users
 * of their own. Ranges that a name service has alone are not known here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct uid_span {
    uint64_t first, last;
};

struct subordinate_uids {
    const char *path;       /* borrowed */
    bool read;              /* what follows is what the file had when it was `seen` */
    struct stat seen;       /* st_ino 0: it was not there */
    struct uid_span *spans; /* in order, none touches another */
    size_t n_spans;
};

void subordinate_uids_init(struct subordinate_uids *uids, const char *path);
void subordinate_uids_deinit(struct subordinate_uids *uids);

/* Whether the file has this uid: 1, 0, or -errno if it cannot be read (-EFBIG: it is larger than
 * SUBORDINATE_UIDS_FILE_MAX). Costs a stat(2) and, when the file has changed, one reading. */
int subordinate_uids_have(struct subordinate_uids *uids, uid_t uid);
