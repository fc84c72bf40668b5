/* File systems by their kind. fstatfs(2) asks a FUSE where it was mounted with allow_other, and so
 * does fstat(2): a program that does not answer would keep the daemon waiting for ever. What the
 * kernel knows by itself is the mount's number (statx(2): AT_STATX_DONT_SYNC asks nobody), and by
 * that number the kind (proc_pid_mountinfo(5)). */
#include "file-system.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util.h"

/* Whether a line of mountinfo, "ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [FIELD]... - TYPE ...", is
 * of that mount; then *ret says whether it is a FUSE. Spaces in a place are written as \040. */
static bool is_line_of(const char *line, uint64_t mount, bool *ret_fuse)
{
    char *end;

    if (strtoull(line, &end, 10) != mount || *end != ' ')
        return false;
    const char *type = strstr(end, " - ");
    *ret_fuse = !type || has_prefix(type + strlen(" - "), "fuse");
    return true;
}

/* 1 or 0, or -errno for a mount that is not there. */
static int mount_is_fuse(uint64_t mount)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    AUTO_FREE char *line = NULL;
    size_t allocated = 0;
    bool found = false, fuse = true;

    if (!file)
        return negative_errno();
    while (!found && getline(&line, &allocated, file) >= 0)
        found = is_line_of(line, mount, &fuse);
    (void)fclose(file);
    return found ? fuse : -ENOENT;
}

/* What is read from them, or written to them, in the daemon's name would be more than the
 * descriptor's owner may do. (statfs(2) has the numbers.) */
static bool is_kernels(int fd)
{
    static const unsigned long types[] = {
        PROC_SUPER_MAGIC, SYSFS_MAGIC,        CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
        DEBUGFS_MAGIC,    TRACEFS_MAGIC,      SECURITYFS_MAGIC,   PSTOREFS_MAGIC,
        BPF_FS_MAGIC,     DEVPTS_SUPER_MAGIC, BINFMTFS_MAGIC,     NSFS_MAGIC,
    };
    struct statfs st;

    if (fstatfs(fd, &st) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if ((unsigned long)st.f_type == types[i])
            return true;
    return false;
}

enum file_system file_system_of(int fd)
{
    struct statx st = {};

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0 ||
        !(st.stx_mask & STATX_MNT_ID))
        return FILE_SYSTEM_UNKNOWN;
    int fuse = mount_is_fuse(st.stx_mnt_id);
    if (fuse < 0)
        return FILE_SYSTEM_UNKNOWN;
    return fuse || is_kernels(fd) ? FILE_SYSTEM_MADE_UP : FILE_SYSTEM_REAL;
}
