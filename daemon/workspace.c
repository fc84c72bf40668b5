/* The workspace folder and the key file, by descriptor. */
#include "workspace.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "file-system.h"
#include "why.h"

static int fd_path(int fd, char **ret)
{
    char link[64], path[PATH_MAX];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return negative_errno();
    path[n] = 0;
    *ret = strdup(path);
    return *ret ? 0 : -ENOMEM;
}

/* The agent acts as the folder's owner and group on disk: so these must be the caller's own. Files
 * that an agent makes set-group-ID would otherwise lend a group that the caller is not in. */
static int check_owner(const struct stat *st, const struct peer *peer, const char *path,
                       char **ret_why)
{
    if (st->st_uid == 0)
        return why_set(
            ret_why, -EPERM,
            "%s belongs to root; an agent never works as root: give the folder to a user", path);
    if (st->st_gid == 0)
        return why_set(ret_why, -EPERM, "%s belongs to the group root; chgrp it to a user's group",
                       path);
    if (peer->uid == 0)
        return 0;
    if (st->st_uid != peer->uid)
        return why_set(ret_why, -EPERM,
                       "%s belongs to uid %u, you are uid %u; a workspace must be your own", path,
                       st->st_uid, peer->uid);
    if (!peer_in_group(peer, st->st_gid))
        return why_set(ret_why, -EPERM, "%s has the group %u, in which you are not; chgrp it", path,
                       st->st_gid);
    return 0;
}

/* Whether these bits of a mode let somebody list a folder, enter it and make files in it. */
static bool may_all(mode_t bits)
{
    return (bits & 07) == 07;
}

/* The agent acts as this user, who must be able to work in the folder, as the kernel sees it: by
 * its mode, since a user's further groups are not the agent's. */
static int check_user(const struct stat *st, const struct workspace_user *user, const char *path,
                      char **ret_why)
{
    mode_t bits = st->st_uid == user->uid   ? st->st_mode >> 6
                  : st->st_gid == user->gid ? st->st_mode >> 3
                                            : st->st_mode;

    if (may_all(bits))
        return 0;
    return why_set(ret_why, -EPERM,
                   "%s belongs to uid %u and gid %u with mode %04o: uid %u (gid %u), the card's "
                   "user, cannot read and write there; chown it",
                   path, st->st_uid, st->st_gid, st->st_mode & 07777, user->uid, user->gid);
}

/* Before anything is asked of it: 0, or -EPERM with *ret_why, in which it is called `name`. */
static int check_file_system(int fd, const char *name, char **ret_why)
{
    switch (file_system_of(fd)) {
    case FILE_SYSTEM_MADE_UP:
        return why_set(ret_why, -EPERM,
                       "%s lies in a file system that the kernel or a program (FUSE) makes up",
                       name);
    case FILE_SYSTEM_UNKNOWN:
        return why_set(ret_why, -EPERM, "%s lies in a mount namespace that is not the daemon's",
                       name);
    default:
        return 0;
    }
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

int workspace_take(int fd, const struct peer *peer, const struct workspace_user *user,
                   struct workspace *ret, char **ret_why)
{
    CLEANUP(workspace_deinit) struct workspace workspace = WORKSPACE_INIT;
    struct stat st;
    int r;

    r = fd_path(fd, &workspace.path);
    if (r < 0)
        return r;
    r = check_file_system(fd, workspace.path, ret_why);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return negative_errno();
    if (!S_ISDIR(st.st_mode))
        return why_set(ret_why, -EINVAL, "%s is not a folder", workspace.path);
    if (st.st_nlink == 0)
        return why_set(ret_why, -EINVAL, "%s has been deleted", workspace.path);
    r = user ? check_user(&st, user, workspace.path, ret_why)
             : check_owner(&st, peer, workspace.path, ret_why);
    if (r < 0)
        return r;
    if (streq(workspace.path, "/"))
        return why_set(ret_why, -EPERM, "the root of the file system cannot be a workspace");

    /* Not recursive: what is mounted below the workspace is not part of it. */
    workspace.mount =
        (int)syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (workspace.mount < 0 && errno == EINVAL)
        return why_set(ret_why, -EINVAL,
                       "%s lies in a mount namespace that is not the daemon's, so it cannot be "
                       "mounted into a cage",
                       workspace.path);
    if (workspace.mount < 0)
        return negative_errno();
    workspace.view = clone_read_only(fd);
    if (workspace.view < 0)
        return workspace.view;
    workspace.folder_owner = st.st_uid;
    workspace.folder_group = st.st_gid;
    workspace.owner = user ? user->uid : st.st_uid;
    workspace.group = user ? user->gid : st.st_gid;
    workspace.device = st.st_dev;
    *ret = workspace;
    workspace = WORKSPACE_INIT;
    return 0;
}

void workspace_deinit(struct workspace *workspace)
{
    fd_close(workspace->mount);
    fd_close(workspace->view);
    free(workspace->path);
    *workspace = WORKSPACE_INIT;
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

char *secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct secret_kind {
    const char *file, *content; /* as errors call them */
    size_t size_max;
    char least; /* the first character that may be in it */
};

/* Whether the `size` bytes are text of this kind: 0, or -EINVAL with *ret_why. */
static int check_secret(const struct secret_kind *kind, const char *text, size_t size,
                        char **ret_why)
{
    if (size > kind->size_max)
        return why_set(ret_why, -EINVAL, "%s is longer than %zu bytes", kind->content,
                       kind->size_max);
    if (size == 0)
        return why_set(ret_why, -EINVAL, "%s is empty", kind->file);
    for (size_t i = 0; i < size; i++)
        if (text[i] < kind->least || text[i] >= 0x7f)
            return why_set(ret_why, -EINVAL, "%s is not one line of printable ASCII", kind->file);
    return 0;
}

static int read_secret(int fd, const struct secret_kind *kind, char **ret, char **ret_why)
{
    char buffer[MAX_OF(API_KEY_SIZE_MAX, PROXY_AUTH_SIZE_MAX) + 2];
    struct stat st;
    int r = check_file_system(fd, kind->file, ret_why);

    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return negative_errno();
    if (!S_ISREG(st.st_mode))
        return why_set(ret_why, -EINVAL, "%s is not a regular file", kind->file);
    ssize_t n = pread(fd, buffer, kind->size_max + 2, 0);
    if (n < 0)
        return why_set(ret_why, -EINVAL, "%s cannot be read: %s", kind->file, strerror(errno));

    size_t start = 0, end = (size_t)n;
    while (start < end && is_space(buffer[start]))
        start++;
    while (end > start && is_space(buffer[end - 1]))
        end--;
    size_t size = (size_t)n > kind->size_max + 1 ? (size_t)n : end - start;
    r = check_secret(kind, buffer + start, size, ret_why);
    if (r == 0 && !(*ret = strndup(buffer + start, size)))
        r = -ENOMEM;
    explicit_bzero(buffer, sizeof(buffer));
    return r;
}

int api_key_read(int fd, char **ret, char **ret_why)
{
    static const struct secret_kind kind = {"the key file", "the key", API_KEY_SIZE_MAX, '!'};

    return read_secret(fd, &kind, ret, ret_why);
}

int proxy_auth_read(int fd, char **ret, char **ret_why)
{
    static const struct secret_kind kind = {
        "the file for the proxy's user", "user:password for the proxy", PROXY_AUTH_SIZE_MAX, ' '};
    CLEANUP(secret_freep) char *text = NULL;
    int r = read_secret(fd, &kind, &text, ret_why);

    if (r < 0)
        return r;
    if (!strchr(text, ':') || text[0] == ':')
        return why_set(ret_why, -EINVAL, "%s does not hold user:password", kind.file);
    *ret = TAKE_PTR(text);
    return 0;
}
