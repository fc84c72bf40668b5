/* Building the root file system of a cage; the contract stands in the header.
 *
 * What is created is root's *inside* the cage because the process creates it with the file system
 * ids of the cage's root (setfsuid(2)); this also takes the capabilities over files out of effect
 * while it builds, so that it reads nothing of the host that a stranger couldn't. Everything
 * happens in a mount namespace in which no agent ever ran: no path can be raced or planted. */
#include "root.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "card-mounts.h"
#include "cloned-mount.h"
#include "protect-git.h"
#include "root-files.h"
#include "root-table.h"
#include "userns.h"
#include "util.h"

/* Where the new root hangs until it is pivoted to: any folder that every host has. */
#define STAGING "/tmp"

#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* What a system call returned, as 0 or -errno. */
static int result_of(int r)
{
    return r < 0 ? negative_errno() : 0;
}

static int make_directory(const struct root *root, const struct root_row *row)
{
    return result_of(mkdir(row->target, row->mode));
}

static int make_link(const struct root *root, const struct root_row *row)
{
    return result_of(symlink(row->source, row->target));
}

/* -EINVAL (by readlink too) if the host has something else than a link below /usr there. */
static int make_host_link(const struct root *root, const struct root_row *row)
{
    char text[256];
    ssize_t n = readlink(row->source, text, sizeof(text));

    if (n < 0)
        return negative_errno();
    if ((size_t)n == sizeof(text))
        return -ENAMETOOLONG;
    text[n] = 0;

    const char *below_root = has_prefix(text, "../") ? text + 3 : text[0] == '/' ? text + 1 : text;
    if (!has_prefix(below_root, "usr/") || strstr(below_root, ".."))
        return -EINVAL;
    return result_of(symlink(text, row->target));
}

static int make_file(const struct root *root, const struct root_row *row)
{
    char buffer[1024];

    if (!row->generate)
        return root_file_write(row->target, row->source, strlen(row->source));
    int n = row->generate(root->spec, buffer, sizeof(buffer));
    if (n < 0 || (size_t)n >= sizeof(buffer))
        return -EOVERFLOW;
    return root_file_write(row->target, buffer, (size_t)n);
}

static int make_mount_point(const char *target, bool directory)
{
    return result_of(directory ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0));
}

static int make_bind(const struct root *root, const struct root_row *row)
{
    int r;
    AUTO_FD int fd =
        open_tree(AT_FDCWD, row->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (fd < 0)
        return negative_errno();
    r = cloned_mount_idmap(fd, root->userns_fd,
                           MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (r >= 0)
        r = make_mount_point(row->target, row->kind == ROOT_BIND_TREE);
    if (r >= 0)
        r = cloned_mount_attach(fd, row->target);
    return r;
}

static int bind_with_flags(const char *source, const char *target, unsigned long flags)
{
    if (mount(source, target, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | flags, NULL) < 0)
        return negative_errno();
    return 0;
}

/* Read-only: a device is written through all the same, but its node can't be changed. */
static int make_device(const struct root *root, const struct root_row *row)
{
    int r = make_mount_point(row->target, false);

    if (r < 0)
        return r;
    return bind_with_flags(row->source, row->target, MS_RDONLY | MS_NOSUID | MS_NOEXEC);
}

static int make_tmpfs(const struct root *root, const struct root_row *row)
{
    const struct init_spec *spec = root->spec;
    uint64_t owner = spec->uid_base + (row->kind == ROOT_AGENT_TMPFS ? CAGE_AGENT_UID : 0);
    char options[128];
    int r = make_mount_point(row->target, true);

    if (r < 0)
        return r;
    (void)snprintf(options, sizeof(options), "size=%llu,mode=%o,uid=%llu,gid=%llu",
                   (unsigned long long)spec->tmpfs_bytes, row->mode, (unsigned long long)owner,
                   (unsigned long long)owner);
    return result_of(mount("tmpfs", row->target, "tmpfs", MS_NOSUID | MS_NODEV, options));
}

static int make_terminals(const struct root *root, const struct root_row *row)
{
    char options[128];
    int r = make_mount_point(row->target, true);

    if (r < 0)
        return r;
    (void)snprintf(options, sizeof(options), "newinstance,ptmxmode=0666,mode=0620,gid=%llu,max=%d",
                   (unsigned long long)root->spec->uid_base + CAGE_TTY_GID, CAGE_TERMINALS_MAX);
    return result_of(mount("devpts", row->target, "devpts", MS_NOSUID | MS_NOEXEC, options));
}

static int make_read_only(const struct root *root, const struct root_row *row)
{
    return bind_with_flags(row->target, row->target, MS_RDONLY | QUIET);
}

/* The covers are read-only mounts of the cage already; a bind keeps their flags (mount(2)). */
static int make_mask(const struct root *root, const struct root_row *row)
{
    const char *cover = row->kind == ROOT_MASK_TREE ? "var/empty" : "dev/null";

    return result_of(mount(cover, row->target, NULL, MS_BIND, NULL));
}

static int (*const makers[])(const struct root *root, const struct root_row *row) = {
    [ROOT_DIRECTORY] = make_directory, [ROOT_LINK] = make_link,
    [ROOT_HOST_LINK] = make_host_link, [ROOT_FILE] = make_file,
    [ROOT_BIND_FILE] = make_bind,      [ROOT_BIND_TREE] = make_bind,
    [ROOT_DEVICE] = make_device,       [ROOT_TMPFS] = make_tmpfs,
    [ROOT_AGENT_TMPFS] = make_tmpfs,   [ROOT_TERMINALS] = make_terminals,
    [ROOT_READ_ONLY] = make_read_only, [ROOT_MASK_FILE] = make_mask,
    [ROOT_MASK_TREE] = make_mask,
};
_Static_assert(ARRAY_SIZE(makers) == ROOT_KIND_COUNT, "every kind has a maker");

/* A source that is not there, or a link that is none, leaves out an optional row. */
static bool absent(int error)
{
    return error == -ENOENT || error == -EINVAL;
}

static int make_row(const struct root *root, const struct root_row *row, struct failure *failure)
{
    const char *what = row->source ? row->source : row->target;
    int r = makers[row->kind](root, row);

    if (r >= 0 || (row->optional && absent(r)))
        return 0;
    if (row->kind == ROOT_HOST_LINK && r == -EINVAL)
        what = "/bin, /sbin and /lib must be links into /usr: this host has no merged /usr";
    return failure_set(failure, "root", what, r);
}

static int place_workspace(const struct root *root, struct failure *failure)
{
    const struct init_spec *spec = root->spec;
    const uint32_t base = (uint32_t)spec->uid_base;
    const struct id_maps uids =
        cloned_mount_map(base, (uint32_t)spec->owner_uid, (uint32_t)spec->folder_uid);
    const struct id_maps gids =
        cloned_mount_map(base, (uint32_t)spec->owner_gid, (uint32_t)spec->folder_gid);
    int r;

    AUTO_FD int userns_fd = userns_new(base, &uids, &gids);
    if (userns_fd < 0)
        return failure_set(failure, "user namespace", "the workspace's map", userns_fd);

    r = cloned_mount_idmap(root->workspace_fd, userns_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (r == -EINVAL)
        return failure_set(failure, "workspace",
                           "its file system cannot be idmapped; move the workspace to one that "
                           "can (ext4, xfs, btrfs, tmpfs on new kernels)",
                           r);
    if (r >= 0)
        r = make_mount_point(&CAGE_WORKSPACE[1], true);
    if (r >= 0)
        r = cloned_mount_attach(root->workspace_fd, &CAGE_WORKSPACE[1]);
    return r < 0 ? failure_set(failure, "workspace", CAGE_WORKSPACE, r) : 0;
}

int root_begin(const struct init_spec *spec, struct failure *failure)
{
    char options[128];

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return failure_set(failure, "root", "private mounts", negative_errno());
    (void)snprintf(options, sizeof(options), "size=1m,nr_inodes=1k,mode=0755,uid=%llu,gid=%llu",
                   (unsigned long long)spec->uid_base, (unsigned long long)spec->uid_base);
    if (mount("tmpfs", STAGING, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 || chdir(STAGING) < 0)
        return failure_set(failure, "root", STAGING, negative_errno());
    if (mkdir("proc", 0555) < 0 || mount("proc", "proc", "proc", QUIET, "hidepid=invisible") < 0)
        return failure_set(failure, "root", "/proc", negative_errno());
    return 0;
}

int root_fill(const struct root *root, struct failure *failure)
{
    int r = place_workspace(root, failure);

    if (r >= 0 && root->spec->protect_git)
        r = protect_git(root->spec, &CAGE_WORKSPACE[1], root->spec->workspace, failure);
    if (r < 0)
        return r;
    r = root_act_as((uid_t)root->spec->uid_base);
    if (r < 0)
        return failure_set(failure, "root", "setfsuid", r);
    for (size_t i = 0; i < root_table_size; i++) {
        r = make_row(root, &root_table[i], failure);
        if (r < 0)
            return r;
    }
    r = root_act_as(0);
    if (r < 0)
        return failure_set(failure, "root", "setfsuid", r);
    r = root_place_files(root->spec, failure);
    return r < 0 ? r : card_mounts_place(root->spec, failure);
}

int root_enter(struct failure *failure)
{
    /* pivot_root(2): with the same folder twice the old root ends up on top of the new one, from
     * where it is detached; no folder for it is needed. */
    if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0)
        return failure_set(failure, "root", "pivot_root", negative_errno());
    return 0;
}

int root_detach_old(struct failure *failure)
{
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return failure_set(failure, "root", "the host's root", negative_errno());
    return 0;
}
