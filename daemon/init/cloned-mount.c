/* A clone of a user's mount and its way into the cage; the contract stands in the header. */
#include "cloned-mount.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "init-spec.h"
#include "util.h"

int cloned_mount_idmap(int fd, int userns_fd, uint64_t attributes)
{
    struct mount_attr attr = {
        .attr_set = attributes | MOUNT_ATTR_IDMAP,
        .propagation = MS_PRIVATE,
        .userns_fd = (uint64_t)userns_fd,
    };

    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return negative_errno();
    return 0;
}

int cloned_mount_attach(int fd, const char *target)
{
    return move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? negative_errno() : 0;
}

struct id_maps cloned_mount_map(uint32_t uid_base, uint32_t owner, uint32_t folder)
{
    struct id_maps maps = {.maps = {{owner, uid_base + CAGE_AGENT_UID, 1}}, .count = 1};

    if (folder != owner)
        maps.maps[maps.count++] = (struct id_map){folder, uid_base + CAGE_NOBODY, 1};
    return maps;
}
