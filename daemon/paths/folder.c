/* A folder of a user's and the site policy; the contract stands in the header. */
#include "paths/folder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "paths/place.h"
#include "paths/system-folders.h"
#include "why.h"

static int fd_path(int fd, char *path, size_t size)
{
    char link[64];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    if (n < 0)
        return negative_errno();
    path[n] = 0;
    return 0;
}

int folder_look(int fd, struct folder *ret, char **ret_why)
{
    CLEANUP(folder_deinit) struct folder folder = FOLDER_INIT;
    char path[PATH_MAX];
    int r = fd_path(fd, path, sizeof(path));

    if (r == -ENAMETOOLONG)
        return why_set(ret_why, -EINVAL, "its path is longer than %d bytes", PATH_MAX - 1);
    if (r < 0)
        return r;
    folder.fd = fd;
    folder.path = strdup(path);
    if (!folder.path)
        return -ENOMEM;
    file_system_find(fd, &folder.file_system);
    r = file_system_check(&folder.file_system, path, ret_why);
    if (r < 0)
        return r;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &folder.st) < 0)
        return negative_errno();
    if (!S_ISDIR(folder.st.stx_mode))
        return why_set(ret_why, -EINVAL, "%s is not a folder", path);
    if (folder.st.stx_nlink == 0)
        return why_set(ret_why, -EINVAL, "%s has been deleted", path);
    *ret = folder;
    folder = FOLDER_INIT;
    return 0;
}

void folder_deinit(struct folder *folder)
{
    free(folder->path);
    *folder = FOLDER_INIT;
}

static int check_excluded(const struct folder *folder, const struct policy_rule *policy,
                          char **ret_why)
{
    if (!string_list_has(&policy->excluded_file_systems, folder->file_system.type))
        return 0;
    return why_set(ret_why, -EPERM,
                   "%s lies in a file system of the type %s, which the rule \"%s\" of the site "
                   "policy excludes",
                   folder->path, folder->file_system.type, policy->name);
}

/* Whether the folder is what its path leads to from this root, or the root itself. 1, 0 or -errno.
 * The path is only where to look: that it is this very folder is known by its identity, so it does
 * not matter who renames what meanwhile. */
static int is_below(const struct folder *folder, const struct place *place, const char *root)
{
    char path[PATH_MAX];
    struct place_id root_id, id;
    AUTO_FD int root_fd = place_open(root);
    int r = root_fd;

    if (r >= 0)
        r = place_id_of(root_fd, &root_id);
    if (r >= 0)
        r = fd_path(root_fd, path, sizeof(path));
    if (r < 0)
        return r;
    if (place_is_same_mount(&root_id, &place->ids[0]))
        return 1;
    size_t length = strlen(path);
    if (!has_prefix(folder->path, path) || folder->path[length] != '/')
        return 0;
    AUTO_FD int fd = place_open_beneath(root_fd, &folder->path[length + 1]);
    if (fd >= 0)
        return place_id_of(fd, &id) >= 0 && place_is_same_mount(&id, &place->ids[0]);
    if (fd != -EAGAIN)
        return 0;
    /* The kernel would have had to ask a file system; the folders above it are known already. */
    for (size_t i = 1; i < place->count; i++)
        if (place_is_same_mount(&root_id, &place->ids[i]))
            return 1;
    return 0;
}

static const char *why_no_root(int error)
{
    return error == -ELOOP ? "a symbolic link is in its way" : strerror(-error);
}

static int check_roots(const struct folder *folder, const struct place *place,
                       const struct folder_rule *rule, char **ret_why)
{
    char list[256] = "";

    for (size_t i = 0; i < rule->roots->count; i++) {
        const char *root = rule->roots->items[i];
        int r = streq(root, "/") ? 1 : is_below(folder, place, root);
        size_t used = strlen(list);
        if (r > 0)
            return 0;
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", root);
        used = strlen(list);
        if (r < 0)
            (void)snprintf(list + used, sizeof(list) - used, " (%s)", why_no_root(r));
    }
    if (rule->roots->count == 0)
        return why_set(ret_why, -EPERM, "%s: the rule \"%s\" of the site policy has no %s",
                       folder->path, rule->policy->name, rule->roots_name);
    return why_set(ret_why, -EPERM,
                   "%s is not below any of the %s of the rule \"%s\" of the site policy: %s",
                   folder->path, rule->roots_name, rule->policy->name, list);
}

int folder_hold(const struct folder *folder, const struct folder_rule *rule, char **ret_why)
{
    struct place place;
    int r = check_excluded(folder, rule->policy, ret_why);

    if (r < 0)
        return r;
    r = place_find(folder->fd, &place);
    if (r == -E2BIG)
        return why_set(ret_why, -EPERM, "%s lies more than %d folders deep", folder->path,
                       FOLDER_DEPTH_MAX - 1);
    if (r == -EXDEV)
        return why_set(ret_why, -EPERM,
                       "%s lies below a file system that the kernel or a program (FUSE) makes up, "
                       "or not in the daemon's tree of files",
                       folder->path);
    if (r < 0)
        return why_set(ret_why, -EPERM, "where %s lies cannot be found out: %s", folder->path,
                       strerror(-r));
    r = system_folders_check(&place, rule->own, folder->path, ret_why);
    return r < 0 ? r : check_roots(folder, &place, rule, ret_why);
}
