/* From a file system's device number to its disk, by /sys/dev/block (sysfs(5)). */
#include "cgroup/block-device.h"

#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "fd-io.h"
#include "util.h"
#include "why.h"

#define SYS_FILE_MAX (64 * 1024)

static int read_of_disk(const char *number, const char *file, char **ret)
{
    char path[PATH_MAX];
    size_t size;

    if (snprintf(path, sizeof(path), "/sys/dev/block/%s/%s", number, file) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    int r = file_read_all(path, SYS_FILE_MAX, ret, &size);
    if (r >= 0)
        (*ret)[strcspn(*ret, "\n")] = 0;
    return r;
}

/* A partition's folder lies in its disk's. */
static int find_whole(dev_t device, char *number, size_t size)
{
    AUTO_FREE char *partition = NULL, *whole = NULL;

    (void)snprintf(number, size, "%u:%u", major(device), minor(device));
    if (read_of_disk(number, "partition", &partition) < 0)
        return 0;
    int r = read_of_disk(number, "../dev", &whole);
    if (r < 0)
        return r;
    if (snprintf(number, size, "%s", whole) >= (int)size)
        return -EBADMSG;
    return 0;
}

/* io.cost.qos is a file of the root cgroup alone, with a line "254:0 enable=1 ..." for each disk
 * that was ever configured. */
static bool has_io_cost(const char *cgroup_mount, const char *number)
{
    AUTO_FREE char *path = NULL, *text = NULL;
    size_t size, length = strlen(number);

    if (asprintf(&path, "%s/io.cost.qos", cgroup_mount) < 0) {
        path = NULL;
        return false;
    }
    if (file_read_all(path, SYS_FILE_MAX, &text, &size) < 0)
        return false;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        if (strncmp(line, number, length) == 0 && has_prefix(line + length, " enable=1"))
            return true;
    return false;
}

int disk_find(dev_t device, const char *cgroup_mount, struct disk *ret, char **ret_why)
{
    AUTO_FREE char *known = NULL, *scheduler = NULL;
    struct disk disk = {};

    /* Major 0 is what the kernel gives to file systems that are not on one block device. */
    if (major(device) == 0)
        return why_set(ret_why, -ENOTSUP,
                       "the workspace's file system has no disk that the kernel could name: device "
                       "%u:%u is an anonymous one, as btrfs, overlay, tmpfs and NFS have it",
                       major(device), minor(device));
    int r = find_whole(device, disk.number, sizeof(disk.number));
    if (r < 0)
        return r;
    if (read_of_disk(disk.number, "dev", &known) < 0)
        return why_set(ret_why, -ENOTSUP, "the workspace's device %s is not in /sys/dev/block",
                       disk.number);
    if (has_io_cost(cgroup_mount, disk.number))
        disk.weighers |= DISK_IO_COST;
    if (read_of_disk(disk.number, "queue/scheduler", &scheduler) >= 0 && strstr(scheduler, "[bfq]"))
        disk.weighers |= DISK_BFQ;
    *ret = disk;
    return 0;
}
