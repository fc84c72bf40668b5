/* Giving up every privilege, in one order, for good. */
#pragma once

#include <linux/filter.h>
#include <stdint.h>

struct identity {
    uint32_t id;                     /* uid and gid inside the cage */
    int userns_fd;                   /* the cage's user namespace, borrowed */
    uint64_t max_open_files;         /* RLIMIT_NOFILE, soft and hard */
    const struct sock_fprog *filter; /* seccomp, borrowed */
};

/* Becomes that identity; only for a single-threaded process that is root. 0, or -errno with
 * *ret_what, the static name of the step: then the process is something in between and must
 * exit. */
int drop_privileges(const struct identity *identity, const char **ret_what);
