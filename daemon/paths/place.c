/* Where a folder lies; the contract stands in the header.
 *
 * Nothing here waits for a program: openat2(2) with RESOLVE_CACHED takes only what the kernel has
 * in its memory. That is not always all (an access list that was not yet read), so what it cannot
 * tell is asked again without it, one step at a time, and only where the folder from which the step
 * is taken is known to lie in a real file system: a step asks that one, and what it leads to is
 * opened by O_PATH, which asks nobody. */
#include "paths/place.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "paths/file-system.h"
#include "plain-path.h"
#include "util.h"

#define NO_LINKS (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

static int open_how(int folder, const char *path, uint64_t resolve)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));

    return fd < 0 ? negative_errno() : fd;
}

static int id_from(const struct statx *st, struct place_id *ret)
{
    if (!(st->stx_mask & STATX_MNT_ID) || !(st->stx_mask & STATX_INO))
        return -EXDEV;
    *ret = (struct place_id){
        .mount = st->stx_mnt_id,
        .inode = st->stx_ino,
        .major = st->stx_dev_major,
        .minor = st->stx_dev_minor,
    };
    return 0;
}

int place_id_of(int fd, struct place_id *ret)
{
    struct statx st = {};

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID | STATX_INO, &st) < 0)
        return negative_errno();
    return id_from(&st, ret);
}

int place_id_of_path(const char *path, bool link, struct place_id *ret)
{
    int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (link ? 0 : AT_SYMLINK_NOFOLLOW);
    struct statx st = {};

    if (statx(AT_FDCWD, path, flags, STATX_MNT_ID | STATX_INO, &st) < 0)
        return negative_errno();
    return id_from(&st, ret);
}

bool place_is_same(const struct place_id *a, const struct place_id *b)
{
    return a->inode == b->inode && a->major == b->major && a->minor == b->minor;
}

bool place_is_same_mount(const struct place_id *a, const struct place_id *b)
{
    return a->mount == b->mount && place_is_same(a, b);
}

/* One name, or "..": a descriptor or -errno. */
static int step(int folder, const char *name, uint64_t resolve)
{
    struct file_system from;
    int fd = open_how(folder, name, resolve | RESOLVE_CACHED);

    if (fd != -EAGAIN)
        return fd;
    file_system_find(folder, &from);
    return from.kind == FILE_SYSTEM_REAL ? open_how(folder, name, resolve) : -EXDEV;
}

int place_find(int fd, struct place *ret)
{
    AUTO_FD int above = -EBADF;
    struct place_id root, id;
    int r = place_id_of_path("/", false, &root);

    if (r >= 0)
        r = place_id_of(fd, &id);
    for (ret->count = 0; r >= 0; r = place_id_of(above, &id)) {
        if (ret->count > 0 && place_is_same_mount(&id, &ret->ids[ret->count - 1]))
            return -EXDEV; /* a top, and not ours */
        if (ret->count == ARRAY_SIZE(ret->ids))
            return -E2BIG;
        ret->ids[ret->count++] = id;
        if (place_is_same_mount(&id, &root))
            return 0;
        int next = step(above >= 0 ? above : fd, "..", 0);
        if (next < 0)
            return next;
        fd_close(above);
        above = next;
    }
    return r;
}

int place_open(const char *path)
{
    AUTO_FD int folder = open_how(AT_FDCWD, "/", NO_LINKS);
    char name[NAME_MAX + 1];

    if (folder < 0 || *path != '/')
        return folder < 0 ? folder : -EINVAL;
    while (*path++ == '/' && *path) {
        size_t length = strcspn(path, "/");
        if (length > NAME_MAX || !plain_path_is_name(path, length))
            return -EINVAL;
        memcpy(name, path, length);
        name[length] = '\0';
        int next = step(folder, name, NO_LINKS | RESOLVE_BENEATH);
        if (next < 0)
            return next;
        fd_close(folder);
        folder = next;
        path += length;
    }
    return TAKE_FD(folder);
}

int place_open_beneath(int folder, const char *path)
{
    return open_how(folder, path, NO_LINKS | RESOLVE_BENEATH | RESOLVE_CACHED);
}
