/* What the parts of protect: ["git"] share; the contract stands in the header. */
#include "git-protection.h"

#include <dirent.h>
#include <fcntl.h>

#include "fd-io.h"
#include "util.h"

int protection_count(struct guard *g)
{
    if (++protection_of(g)->n_repositories > PROTECT_REPOSITORIES_MAX)
        return guard_refuse(
            g, "",
            "is one repository more than can be protected "
            "(" STRINGIFY(PROTECT_REPOSITORIES_MAX) ", with submodules and worktrees)",
            -E2BIG);
    return 0;
}

int protection_each(struct guard *g, int fd, const char *name, size_t maximum,
                    int (*visit)(struct guard *g, int folder, const char *name, unsigned char type))
{
    size_t before;
    int r = guard_enter(g, name, &before);

    if (r < 0)
        return r;
    r = guard_each(g, fd, maximum, visit);
    guard_leave(g, before);
    return r;
}

/* Whether a link leads to another name in its own folder, as of one script for several hooks: that
 * is looked at as well. */
static bool stays_in_folder(int folder, const char *name)
{
    char target[NAME_MAX + 1];
    ssize_t n = readlinkat(folder, name, target, sizeof(target));

    if (n <= 0 || (size_t)n == sizeof(target))
        return false;
    target[n] = '\0';
    return !strchr(target, '/') && !streq(target, ".") && !streq(target, "..");
}

int protection_visit_hook(struct guard *g, int hooks, const char *name, unsigned char type)
{
    struct stat st;

    if (type == DT_LNK && stays_in_folder(hooks, name))
        return 0;
    if (type == DT_LNK)
        return guard_refuse(g, name,
                            "is a symbolic link, and what it leads to can be changed: replace it "
                            "by a copy",
                            -ELOOP);
    if (type == DT_REG && fstatat(hooks, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1)
        return guard_refuse(g, name,
                            "has a further name (a hard link), by which it could be changed: "
                            "replace it by a copy",
                            -EMLINK);
    return 0;
}

ssize_t protection_read_line(int folder, const char *name, char *buffer, size_t size)
{
    AUTO_FD int fd =
        openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);

    if (n < 0)
        return negative_errno();
    if ((size_t)n == size - 1)
        return -ENAMETOOLONG;
    while (n > 0 && (buffer[n - 1] == '\n' || buffer[n - 1] == '\r'))
        n--;
    buffer[n] = '\0';
    return (size_t)n == strlen(buffer) ? n : -EINVAL;
}

int protection_open(struct guard *g, const char *path, bool make, int *ret)
{
    AUTO_FD int folder = guard_open(protection_of(g)->workspace, ".");
    char name[NAME_MAX + 1];

    guard_leave(g, 0);
    if (folder < 0)
        return guard_refuse(g, "", "cannot be opened", folder);
    while (*path) {
        size_t length = strcspn(path, "/"), before;
        AUTO_FD int next = -EBADF;
        if (length >= sizeof(name))
            return guard_refuse(g, "", "has too long a name below it", -ENAMETOOLONG);
        memcpy(name, path, length);
        name[length] = '\0';
        path += length + (path[length] == '/');

        int r = guard_folder(g, folder, name, GUARD_AS_IT_IS, make, &next);
        int entered = r < 0 ? r : guard_enter(g, name, &before);
        if (r <= 0 || entered < 0)
            return entered;
        fd_close(folder);
        folder = TAKE_FD(next);
    }
    *ret = TAKE_FD(folder);
    return 1;
}

bool protection_has_mounted(int folder, const char *name)
{
    AUTO_FD int fd = guard_open(folder, name);

    return fd >= 0 && guard_is_mounted(fd);
}

void protection_keep(const struct guard *g, struct protection_place *ret)
{
    memcpy(ret->path, g->path, g->path_length + 1);
    ret->length = g->path_length;
}

void protection_return(struct guard *g, const struct protection_place *place)
{
    memcpy(g->path, place->path, place->length + 1);
    g->path_length = place->length;
}
