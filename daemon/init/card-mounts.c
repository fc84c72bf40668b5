/* The mounts of a card; the contract stands in the header. */
#include "card-mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>

#include "cloned-mount.h"
#include "protect-git.h"
#include "root-files.h"
#include "userns.h"
#include "util.h"

#define STEP "mounts"

/* Names the target beside what is wrong; a failure's detail outlives the one who tells it. */
static int fail(struct failure *failure, const char *target, const char *what, int error)
{
    static char detail[CARD_MOUNT_TARGET_MAX + 256];

    (void)snprintf(detail, sizeof(detail), "%s%s%s", target, *what ? ": " : "", what);
    return failure_set(failure, STEP, detail, error);
}

static int idmap(const struct init_spec *spec, const struct init_spec_mount *mount, int fd,
                 struct failure *failure)
{
    const struct init_spec_mount_ids *ids = &mount->ids;
    const uint32_t base = (uint32_t)spec->uid_base;
    const struct id_maps uids = cloned_mount_map(base, ids->uid, ids->folder_uid);
    const struct id_maps gids = cloned_mount_map(base, ids->gid, ids->folder_gid);
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    AUTO_FD int userns_fd = userns_new(base, &uids, &gids);

    if (userns_fd < 0)
        return fail(failure, mount->target, "its map", userns_fd);
    if (!ids->writable)
        attributes |= MOUNT_ATTR_RDONLY;
    int r = cloned_mount_idmap(fd, userns_fd, attributes);
    if (r == -EINVAL)
        return fail(failure, mount->target,
                    "its source's file system cannot be idmapped; those that can are ext4, xfs, "
                    "btrfs, tmpfs on new kernels",
                    r);
    return r < 0 ? fail(failure, mount->target, "", r) : 0;
}

/* Who was promised a folder must be able to use it: the kernel says so, by the agent's own ids
 * (setfsuid(2)) in the mount as the agent sees it. */
static int check_access(const struct init_spec *spec, const struct init_spec_mount *mount,
                        struct failure *failure)
{
    int mode = R_OK | X_OK | (mount->ids.writable ? W_OK : 0);
    int r = root_act_as((uid_t)spec->uid_base + CAGE_AGENT_UID);
    int denied = r >= 0 && faccessat(AT_FDCWD, &mount->target[1], mode, AT_EACCESS) < 0
                     ? negative_errno()
                     : 0;

    if (r >= 0)
        r = root_act_as(0);
    if (r < 0)
        return failure_set(failure, STEP, "setfsuid", r);
    if (denied < 0)
        return fail(failure, mount->target,
                    mount->ids.writable
                        ? "the agent could not write in it: its owner's further groups are not "
                          "the agent's"
                        : "the agent could not read it: its owner's further groups are not the "
                          "agent's",
                    denied);
    return 0;
}

static int place(const struct init_spec *spec, const struct init_spec_mount *mount, int fd,
                 struct failure *failure)
{
    bool in_home = has_prefix(mount->target, CAGE_HOME "/");
    uid_t owner = (uid_t)spec->uid_base + (in_home ? CAGE_AGENT_UID : 0);
    int r = idmap(spec, mount, fd, failure);

    if (r < 0)
        return r;
    r = root_make_folders(mount->target, owner);
    if (r >= 0)
        r = cloned_mount_attach(fd, &mount->target[1]);
    if (r < 0)
        return fail(failure, mount->target, "", r);
    r = check_access(spec, mount, failure);
    if (r >= 0 && mount->ids.writable && spec->protect_git)
        r = protect_git(spec, &mount->target[1], "", failure);
    return r;
}

int card_mounts_place(const struct init_spec *spec, struct failure *failure)
{
    for (size_t i = 0; i < spec->n_mounts; i++) {
        int r = place(spec, &spec->mounts[i], INIT_FD_MOUNTS + (int)i, failure);
        if (r < 0)
            return r;
    }
    return 0;
}
