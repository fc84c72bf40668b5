/* The disk that a file system lies on, as the io controller names it. */
#pragma once

#include <sys/types.h>

/* What shares a disk out by weights (cgroup-v2.rst, "IO Interface Files"; bfq-iosched.rst). */
enum {
    DISK_IO_COST = 1 << 0, /* io.cost.qos has it enabled: io.weight counts */
    DISK_BFQ = 1 << 1,     /* its scheduler is BFQ: io.bfq.weight counts */
};

struct disk {
    char number[24]; /* "254:0": of the whole disk, which io.max wants for a partition too */
    unsigned weighers;
};

/* The disk behind a file system's st_dev. `cgroup_mount` is where cgroup v2 is mounted. 0, -ENOTSUP
 * with *ret_why (the caller's) if there is none that could be named, or -errno. */
int disk_find(dev_t device, const char *cgroup_mount, struct disk *ret, char **ret_why);
