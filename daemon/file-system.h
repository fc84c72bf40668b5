/* What file system a descriptor of a user's lies in, found out without asking that file system. */
#pragma once

enum file_system {
    FILE_SYSTEM_REAL,
    FILE_SYSTEM_MADE_UP, /* by the kernel, or by a program (FUSE) */
    FILE_SYSTEM_UNKNOWN, /* in no mount of this mount namespace: it is not to be touched */
};

/* Never waits for a program, whatever the descriptor stands for. */
enum file_system file_system_of(int fd);
