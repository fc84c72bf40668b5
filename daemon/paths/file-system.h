/* What file system a descriptor of a user's lies in, found out without asking that file system. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "caged-limits.h"

enum file_system_kind {
    FILE_SYSTEM_REAL,
    FILE_SYSTEM_MADE_UP, /* by the kernel, or by a program (FUSE) */
    FILE_SYSTEM_UNKNOWN, /* in no mount of this mount namespace: it is not to be touched */
};

struct file_system {
    enum file_system_kind kind;
    /* As in /proc/self/mountinfo: "ext4", "fuse.sshfs"; cut where no policy could name it. */
    char type[POLICY_FILE_SYSTEM_MAX + 1];
    bool read_only; /* the mount, or the whole file system */
};

/* Never waits for a program, whatever the descriptor stands for. */
void file_system_find(int fd, struct file_system *ret);

/* 0 for a real one, or -EPERM with *ret_why (why.h), in which the descriptor is called `name`. */
int file_system_check(const struct file_system *file_system, const char *name, char **ret_why);
