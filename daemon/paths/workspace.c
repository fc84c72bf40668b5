/* The folders of a card, by descriptor; the contract stands in the header. */
#include "paths/workspace.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "why.h"

/* The agent acts as the folder's owner and group on disk: so these must be the caller's own. Files
 * that an agent makes set-group-ID would otherwise lend a group that the caller is not in. */
static int check_owner(const struct statx *st, const struct peer *peer, const char *path,
                       char **ret_why)
{
    if (st->stx_uid == 0)
        return why_set(
            ret_why, -EPERM,
            "%s belongs to root; an agent never works as root: give the folder to a user", path);
    if (st->stx_gid == 0)
        return why_set(ret_why, -EPERM, "%s belongs to the group root; chgrp it to a user's group",
                       path);
    if (peer->uid == 0)
        return 0;
    if (st->stx_uid != peer->uid)
        return why_set(ret_why, -EPERM,
                       "%s belongs to uid %u, you are uid %u; a workspace must be your own", path,
                       st->stx_uid, peer->uid);
    if (!peer_in_group(peer, st->stx_gid))
        return why_set(ret_why, -EPERM, "%s has the group %u, in which you are not; chgrp it", path,
                       st->stx_gid);
    return 0;
}

/* Whether these bits of a mode let somebody list a folder, enter it and make files in it. */
static bool may_all(mode_t bits)
{
    return (bits & 07) == 07;
}

/* The agent acts as this user, who must be able to work in the folder, as the kernel sees it: by
 * its mode, since a user's further groups are not the agent's. */
static int check_user(const struct statx *st, const struct workspace_user *user, const char *path,
                      char **ret_why)
{
    mode_t bits = st->stx_uid == user->uid   ? st->stx_mode >> 6
                  : st->stx_gid == user->gid ? st->stx_mode >> 3
                                             : st->stx_mode;

    if (may_all(bits))
        return 0;
    return why_set(ret_why, -EPERM,
                   "%s belongs to uid %u and gid %u with mode %04o: uid %u (gid %u), the card's "
                   "user, cannot read and write there; chown it",
                   path, st->stx_uid, st->stx_gid, st->stx_mode & 07777, user->uid, user->gid);
}

static int check_writer(const struct folder *folder, const struct workspace_request *request,
                        char **ret_why)
{
    int r = request->user ? check_user(&folder->st, request->user, folder->path, ret_why)
                          : check_owner(&folder->st, request->peer, folder->path, ret_why);

    if (r == 0 && folder->file_system.read_only)
        return why_set(ret_why, -EPERM,
                       "%s lies in a mount that is read-only, so nobody can write there",
                       folder->path);
    return r;
}

/* O_PATH opens what its owner may not read (open(2)), so it proves nothing. */
static int check_reader(const struct folder *folder, char **ret_why)
{
    int flags = fcntl(folder->fd, F_GETFL);

    if (flags < 0)
        return negative_errno();
    if (flags & O_PATH)
        return why_set(ret_why, -EPERM,
                       "%s was opened with O_PATH, which is no proof that you can read it",
                       folder->path);
    return 0;
}

/* Not recursive: what is mounted below the folder is not part of it. The flags of the mount stay.
 */
static int clone_mount(const struct folder *folder, char **ret_why)
{
    int mount = (int)syscall(SYS_open_tree, folder->fd, "",
                             AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (mount >= 0)
        return mount;
    if (errno != EINVAL)
        return negative_errno();
    return why_set(ret_why, -EINVAL,
                   "%s lies in a mount namespace that is not the daemon's, so it cannot be mounted "
                   "into a cage",
                   folder->path);
}

/* Nothing in it can be changed or executed, and no link leads out of it. */
static int clone_read_only(int fd)
{
    struct mount_attr attributes = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                    MOUNT_ATTR_NOATIME,
        .attr_clr = MOUNT_ATTR__ATIME,
    };
    AUTO_FD int tree =
        (int)syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0 ||
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
        return negative_errno();
    return TAKE_FD(tree);
}

/* Gives the path away. */
static int make(struct folder *folder, uid_t owner, gid_t group, bool writable,
                struct workspace *ret, char **ret_why)
{
    int mount = clone_mount(folder, ret_why);

    if (mount < 0)
        return mount;
    *ret = (struct workspace){
        .mount = mount,
        .view = -EBADF,
        .path = TAKE_PTR(folder->path),
        .owner = owner,
        .group = group,
        .device = makedev(folder->st.stx_dev_major, folder->st.stx_dev_minor),
        .folder_owner = writable ? folder->st.stx_uid : owner,
        .folder_group = writable ? folder->st.stx_gid : group,
    };
    return 0;
}

int workspace_take(int fd, const struct workspace_request *request, struct workspace *ret,
                   char **ret_why)
{
    CLEANUP(folder_deinit) struct folder folder = FOLDER_INIT;
    const struct workspace_user *user = request->user;
    int r = folder_look(fd, &folder, ret_why);

    if (r == 0)
        r = check_writer(&folder, request, ret_why);
    if (r == 0)
        r = folder_hold(&folder, &request->rule, ret_why);
    if (r < 0)
        return r;
    r = make(&folder, user ? user->uid : folder.st.stx_uid, user ? user->gid : folder.st.stx_gid,
             true, ret, ret_why);
    if (r < 0)
        return r;
    ret->view = clone_read_only(fd);
    if (ret->view < 0) {
        r = ret->view;
        workspace_deinit(ret);
    }
    return r;
}

int workspace_take_readonly(int fd, const struct workspace_request *request, uid_t owner,
                            gid_t group, struct workspace *ret, char **ret_why)
{
    CLEANUP(folder_deinit) struct folder folder = FOLDER_INIT;
    int r = folder_look(fd, &folder, ret_why);

    if (r == 0)
        r = check_reader(&folder, ret_why);
    if (r == 0)
        r = folder_hold(&folder, &request->rule, ret_why);
    if (r < 0)
        return r;
    gid_t folder_group = folder.st.stx_gid;
    bool in_group = request->peer->uid != 0 && peer_in_group(request->peer, folder_group);
    return make(&folder, owner, in_group && folder_group != 0 ? folder_group : group, false, ret,
                ret_why);
}

void workspace_deinit(struct workspace *workspace)
{
    fd_close(workspace->mount);
    fd_close(workspace->view);
    free(workspace->path);
    *workspace = WORKSPACE_INIT;
}

struct workspace *workspaces_free(struct workspace *workspaces, size_t n)
{
    for (size_t i = 0; workspaces && i < n; i++)
        workspace_deinit(&workspaces[i]);
    free(workspaces);
    return NULL;
}

void workspaces_close(struct workspace *workspaces, size_t n)
{
    for (size_t i = 0; workspaces && i < n; i++)
        workspaces[i].mount = fd_close(workspaces[i].mount);
}

int workspace_open_for_root(const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    return fd < 0 ? negative_errno() : fd;
}
