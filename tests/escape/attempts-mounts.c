/* Attempts on a mount of the card's, whose place in the cage is the argument: to change what is
 * read-only, and to come from it to what is not its source. In it is a file `file` and a folder
 * `folder` that are the agent's own, so that nothing but the mount stands in the way. */
#include "attempts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>

#include "util.h"

#define DEPTH 64

/* `name` in the mount. */
static const char *in_mount(char **arguments, const char *name)
{
    static char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s", arguments[0] ? arguments[0] : "/nowhere", name);
    return path;
}

static int result_of(long r)
{
    return r < 0 ? negative_errno() : 0;
}

static int opened(int fd)
{
    int r = result_of(fd);

    fd_close(fd);
    return r;
}

static int write_file(char **arguments)
{
    return opened(open(in_mount(arguments, "file"), O_WRONLY | O_CLOEXEC));
}

static int truncate_file(char **arguments)
{
    return result_of(truncate(in_mount(arguments, "file"), 0));
}

static int create(char **arguments)
{
    return opened(open(in_mount(arguments, "new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int unlink_file(char **arguments)
{
    return result_of(unlink(in_mount(arguments, "file")));
}

static int change_mode(char **arguments)
{
    return result_of(chmod(in_mount(arguments, "file"), 0666));
}

static int change_time(char **arguments)
{
    return result_of(utimensat(AT_FDCWD, in_mount(arguments, "file"), NULL, 0));
}

static int set_attribute(char **arguments)
{
    return result_of(setxattr(in_mount(arguments, "file"), "user.x", "x", 1, 0));
}

/* By a descriptor's link in /proc, which leads to the file without its name. */
static int reopen(char **arguments)
{
    char path[64];
    AUTO_FD int fd = open(in_mount(arguments, "file"), O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return negative_errno();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return opened(open(path, O_RDWR | O_CLOEXEC));
}

static int remount(char **arguments)
{
    return result_of(mount(NULL, in_mount(arguments, ""), NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int clear_read_only(char **arguments)
{
    struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};

    return result_of(mount_setattr(AT_FDCWD, in_mount(arguments, ""), 0, &attr, sizeof(attr)));
}

static int unmount(char **arguments)
{
    return result_of(umount2(in_mount(arguments, ""), MNT_DETACH));
}

static int clone_tree(char **arguments)
{
    return opened((int)syscall(SYS_open_tree, AT_FDCWD, in_mount(arguments, ""), 1));
}

static int link_out(char **arguments)
{
    return result_of(link(in_mount(arguments, "file"), "/workspace/escape-mount"));
}

static int rename_out(char **arguments)
{
    return result_of(rename(in_mount(arguments, "file"), "/workspace/escape-mount"));
}

/* The handles of a file system lead to all of its files, whatever is mounted. */
static int open_by_handle(char **arguments)
{
    struct {
        struct file_handle head;
        unsigned char bytes[MAX_HANDLE_SZ];
    } handle = {.head.handle_bytes = MAX_HANDLE_SZ};
    int id;
    AUTO_FD int fd = open(in_mount(arguments, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (name_to_handle_at(fd, "", &handle.head, &id, AT_EMPTY_PATH) < 0)
        return negative_errno();
    return opened(open_by_handle_at(fd, &handle.head, O_RDONLY | O_CLOEXEC));
}

/* Upwards from inside, further than anything is deep: it must end at the cage's root, where the
 * file of the second argument, a path of the host's, is not. */
static int upwards(char **arguments)
{
    AUTO_FD int fd = open(in_mount(arguments, "folder"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (int i = 0; fd >= 0 && i < DEPTH; i++) {
        int above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd_close(fd);
        fd = above;
    }
    if (fd < 0 || !arguments[1])
        return -EINVAL;
    return opened(openat(fd, arguments[1] + 1, O_RDONLY | O_CLOEXEC));
}

/* Over a link in the mount. */
static int by_link(char **arguments)
{
    return opened(
        open(in_mount(arguments, arguments[1] ? arguments[1] : ""), O_RDONLY | O_CLOEXEC));
}

const struct attempt mount_attempts[] = {
    {"mount-write", write_file, {EROFS}, "TARGET"},
    {"mount-truncate", truncate_file, {EROFS}, "TARGET"},
    {"mount-create", create, {EROFS}, "TARGET"},
    {"mount-unlink", unlink_file, {EROFS}, "TARGET"},
    {"mount-chmod", change_mode, {EROFS}, "TARGET"},
    {"mount-touch", change_time, {EROFS}, "TARGET"},
    {"mount-xattr", set_attribute, {EROFS}, "TARGET"},
    {"mount-reopen", reopen, {EROFS}, "TARGET"},
    {"mount-link-out", link_out, {EXDEV}, "TARGET"},
    {"mount-rename-out", rename_out, {EXDEV}, "TARGET"},
    {"mount-remount", remount, {EPERM}, "TARGET"},
    {"mount-clear-read-only", clear_read_only, {EPERM}, "TARGET"},
    {"mount-unmount", unmount, {EPERM}, "TARGET"},
    {"mount-clone", clone_tree, {EPERM}, "TARGET"},
    {"mount-handle", open_by_handle, {EPERM}, "TARGET"},
    {"mount-upwards", upwards, {ENOENT}, "TARGET PATH"},
    {"mount-by-link", by_link, {ENOENT}, "TARGET NAME"},
};
const size_t n_mount_attempts = ARRAY_SIZE(mount_attempts);
