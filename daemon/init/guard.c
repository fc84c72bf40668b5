/* Single files and folders, made read-only or immovable; the contract stands in the header. */
#include "guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "fd-io.h"
#include "init-spec.h"
#include "util.h"

#define ADVICE "; put that right, or give the card \"protect\": []"

/* -- what is wrong -- */

/* In a message to cagedd, whose reader may be a terminal: printable ASCII. */
static void append(char *buffer, size_t size, size_t *used, const char *text)
{
    for (; *text && *used < size - 1; text++)
        buffer[(*used)++] = *text < ' ' || *text > '~' ? '?' : *text;
    buffer[*used] = '\0';
}

int guard_refuse(struct guard *g, const char *name, const char *sentence, int error)
{
    static char detail[512]; /* failures are told once */
    const size_t shown = 200;
    size_t used = 0;

    append(detail, shown, &used, "/");
    append(detail, shown, &used, g->top);
    append(detail, shown, &used, g->path_length > 0 ? "/" : "");
    append(detail, shown, &used, g->path);
    if (*name) {
        append(detail, shown, &used, "/");
        append(detail, shown, &used, name);
    }
    append(detail, sizeof(detail), &used, " ");
    append(detail, sizeof(detail), &used, sentence);
    append(detail, sizeof(detail), &used, ADVICE);
    return failure_set(g->failure, "protect", detail, error);
}

int guard_enter(struct guard *g, const char *name, size_t *ret_before)
{
    size_t length = strlen(name), slash = g->path_length > 0;

    if (g->path_length + slash + length >= sizeof(g->path))
        return guard_refuse(g, "", "has too long a path below it", -ENAMETOOLONG);
    *ret_before = g->path_length;
    if (slash)
        g->path[g->path_length++] = '/';
    memcpy(g->path + g->path_length, name, length + 1);
    g->path_length += length;
    return 0;
}

void guard_leave(struct guard *g, size_t before)
{
    g->path_length = before;
    g->path[before] = '\0';
}

/* -- looking -- */

static int open_beneath(int folder, const char *name, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));

    return fd < 0 ? negative_errno() : fd;
}

int guard_open(int folder, const char *name)
{
    return open_beneath(folder, name, O_PATH);
}

int guard_has(int folder, const char *name)
{
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    return errno == ENOENT ? 0 : negative_errno();
}

bool guard_is_mounted(int fd)
{
    struct statx st = {};

    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

bool guard_is_read_only(int fd)
{
    struct statvfs st;

    return guard_is_mounted(fd) && fstatvfs(fd, &st) == 0 && (st.f_flag & ST_RDONLY);
}

/* -- mounting -- */

/* What is the root of a mount is changed where it is: a further one on top would come with a copy
 * of all that is mounted in it, and folders in one another would double that at each level. A new
 * one comes with the mounts that are in it already, since those are not to be hidden. */
int guard_bind(int fd, enum guard_mode mode)
{
    struct mount_attr attr = {
        .attr_set =
            mode == GUARD_READ_ONLY || mode == GUARD_READ_ONLY_BELOW ? MOUNT_ATTR_RDONLY : 0,
        .attr_clr = mode == GUARD_WRITABLE ? MOUNT_ATTR_RDONLY : 0,
    };
    const unsigned clone = AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    unsigned flags = AT_EMPTY_PATH | (mode == GUARD_READ_ONLY_BELOW ? AT_RECURSIVE : 0);
    bool is_mounted = guard_is_mounted(fd);
    AUTO_FD int tree = is_mounted ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : open_tree(fd, "", clone);

    if (tree < 0)
        return negative_errno();
    if (mode != GUARD_AS_IT_IS && mount_setattr(tree, "", flags, &attr, sizeof(attr)) < 0)
        return negative_errno();
    if (!is_mounted &&
        move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return negative_errno();
    return TAKE_FD(tree);
}

/* Why it cannot be had. What the agent cannot get at either is no danger: 0. */
static int not_opened(struct guard *g, int folder, const char *name, int error)
{
    struct stat st;

    if (error == -ELOOP)
        return guard_refuse(g, name,
                            "is a symbolic link, so that what it leads to would have to be "
                            "protected as well: replace it by that",
                            error);
    if (error == -EACCES && fstat(folder, &st) == 0 && st.st_uid != g->agent)
        return 0;
    return guard_refuse(g, name, "cannot be looked at", error);
}

/* The agent could not make it either if the file system is read-only, or the folder, whose mode
 * forbids it, is not its own. */
static int not_made(struct guard *g, int folder, const char *name, int error)
{
    bool forbidden = error == -EACCES || error == -EPERM || error == -EOVERFLOW;
    struct stat st;

    if (error == -EROFS || (forbidden && fstat(folder, &st) == 0 && st.st_uid != g->agent))
        return 0;
    return guard_refuse(g, name, "cannot be made, to be read-only inside", error);
}

static int make_file(int folder, const char *name, const char *content)
{
    AUTO_FD int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

    return fd < 0 ? negative_errno() : fd_write_all(fd, content, strlen(content));
}

/* 1 with *ret and *ret_st, 0, or -errno. `content` NULL: a folder. */
static int open_or_make(struct guard *g, int folder, const char *name, bool make,
                        const char *content, int *ret)
{
    int fd = guard_open(folder, name);

    if (fd == -ENOENT && !make)
        return 0;
    if (fd == -ENOENT) {
        int r = content                            ? make_file(folder, name, content)
                : mkdirat(folder, name, 0755) == 0 ? 0
                                                   : negative_errno();
        if (r < 0 && r != -EEXIST) /* by another agent's init, at the same time */
            return not_made(g, folder, name, r);
        fd = guard_open(folder, name);
    }
    if (fd < 0)
        return not_opened(g, folder, name, fd);
    *ret = fd;
    return 1;
}

static int mount_it(struct guard *g, const char *name, int fd, enum guard_mode mode, int *ret)
{
    int mounted = guard_bind(fd, mode);

    if (mounted < 0)
        return guard_refuse(g, name, "cannot be mounted on itself", mounted);
    *ret = mounted;
    return 1;
}

int guard_folder(struct guard *g, int folder, const char *name, enum guard_mode mode, bool make,
                 int *ret)
{
    AUTO_FD int fd = -EBADF;
    struct stat st;
    int r = open_or_make(g, folder, name, make, NULL, &fd);

    if (r <= 0)
        return r;
    if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
        return guard_refuse(g, name, "is not a folder", -ENOTDIR);
    return mount_it(g, name, fd, mode, ret);
}

int guard_file(struct guard *g, int folder, const char *name, const char *content)
{
    AUTO_FD int fd = -EBADF, mounted = -EBADF;
    struct stat st;
    int r = open_or_make(g, folder, name, content != NULL, content, &fd);

    if (r <= 0)
        return r;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return guard_refuse(g, name, "is not a regular file", -EINVAL);
    if (st.st_nlink > 1)
        return guard_refuse(g, name,
                            "has a further name (a hard link), by which it could be changed: "
                            "replace it by a copy",
                            -EMLINK);
    return mount_it(g, name, fd, GUARD_READ_ONLY, &mounted);
}

/* -- all names of a folder -- */

static unsigned char type_of(int folder, const struct dirent64 *entry)
{
    struct stat st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return DT_LNK; /* what is refused, or gone */
    return (unsigned char)IFTODT(st.st_mode);
}

int guard_each(struct guard *g, int folder, size_t maximum,
               int (*visit)(struct guard *g, int folder, const char *name, unsigned char type))
{
    _Alignas(struct dirent64) char buffer[2048];
    AUTO_FD int fd = open_beneath(folder, ".", O_RDONLY | O_DIRECTORY);
    size_t count = 0;
    ssize_t n;

    if (fd < 0)
        return guard_refuse(g, "", "cannot be listed", fd);
    while ((n = getdents64(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            at += entry->d_reclen;
            if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                continue;
            if (++count > maximum)
                return guard_refuse(g, "", "has more in it than is looked at", -E2BIG);
            int r = visit(g, folder, entry->d_name, type_of(folder, entry));
            if (r < 0)
                return r;
        }
    }
    return n < 0 ? guard_refuse(g, "", "cannot be listed", negative_errno()) : 0;
}
