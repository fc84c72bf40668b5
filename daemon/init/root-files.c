/* Files of the cage that are written, not mounted; the contract stands in the header. */
#include "root-files.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "fd-io.h"
#include "util.h"

int root_act_as(uid_t id)
{
    (void)setfsgid(id);
    (void)setfsuid(id);
    /* Neither call tells of a failure; asking for an impossible id tells the present one. */
    if ((uid_t)setfsgid((gid_t)-1) != id || (uid_t)setfsuid((uid_t)-1) != id)
        return -EPERM;
    return 0;
}

int root_file_write(const char *path, const void *content, size_t size)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

    if (fd < 0)
        return negative_errno();
    return fd_write_all(fd, content, size);
}

/* Makes it, the owner's, unless it is there; then opens it. */
static int open_folder(int parent, const char *name, uid_t owner)
{
    if (mkdirat(parent, name, 0755) == 0) {
        if (fchownat(parent, name, owner, owner, AT_SYMLINK_NOFOLLOW) < 0)
            return negative_errno();
    } else if (errno != EEXIST) {
        return negative_errno();
    }
    int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? negative_errno() : fd;
}

/* The folder of `path` (relative) and in *ret_name the file's own name. Component by component:
 * no link is walked. */
static int open_folders(const char *path, uid_t owner, const char **ret_name)
{
    AUTO_FD int folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[NAME_MAX + 1];
    const char *slash;

    if (folder < 0)
        return negative_errno();
    for (; (slash = strchr(path, '/')); path = slash + 1) {
        size_t length = (size_t)(slash - path);
        if (length >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, path, length);
        name[length] = 0;

        int next = open_folder(folder, name, owner);
        if (next < 0)
            return next;
        fd_close(folder);
        folder = next;
    }
    *ret_name = path;
    return TAKE_FD(folder);
}

int root_make_folders(const char *path, uid_t owner)
{
    const char *name;
    AUTO_FD int parent = open_folders(path + 1, owner, &name);

    if (parent < 0)
        return parent;
    AUTO_FD int folder = open_folder(parent, name, owner);
    return folder < 0 ? folder : 0;
}

static int place_file(const struct init_spec_file *file, uid_t owner)
{
    const char *name;
    AUTO_FD int folder = open_folders(file->path + 1, owner, &name);

    if (folder < 0)
        return folder;
    AUTO_FD int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || fchown(fd, owner, owner) < 0)
        return negative_errno();
    return fd_write_all(fd, file->content, file->size);
}

int root_place_files(const struct init_spec *spec, struct failure *failure)
{
    struct records_reader reader = init_spec_reader(spec);
    struct init_spec_file file;

    while (init_spec_next_file(&reader, &file)) {
        int r = place_file(&file, (uid_t)spec->uid_base + (file.agents ? CAGE_AGENT_UID : 0));
        if (r < 0)
            return failure_set(failure, "files", file.path, r);
    }
    return 0;
}
