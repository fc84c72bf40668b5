/* A .git file; the contract stands in the header.
 *
 * What lies outside of the workspace is out of the agent's reach. An absolute path leads nowhere
 * from within, but the user's git follows it: if the host calls the workspace so, what it leads to
 * is protected with its repository. */
#include "git-file.h"

#include "git-folder.h"
#include "git-named.h"
#include "git-path.h"
#include "git-protection.h"
#include "util.h"

/* As git_path_resolve(). */
static int leads_to(struct guard *g, const char *path, char target[PROTECT_PATH_MAX])
{
    return git_path_resolve(protection_of(g)->host, g->path, path, target, PROTECT_PATH_MAX);
}

/* What it leads to, or the commondir there: unless it was protected with its repository, as a
 * submodule's is, or for another worktree. */
static int protect_once(struct guard *g, int git)
{
    if (protection_has_mounted(git, "config"))
        return 0;
    if (guard_has(git, "HEAD") != 1)
        return guard_refuse(g, "", "is where a .git file leads to, and no git folder", -ENOENT);
    return git_folder_protect(g, git);
}

static int open_target(struct guard *g, const char *path, int *ret)
{
    int r = protection_open(g, path, false, ret);

    return r == 0 ? guard_refuse(g, "", "is where a .git file leads to, and not there", -ENOENT)
                  : r;
}

/* From the git folder of a linked worktree to that of its repository: 1 with *ret and the path that
 * is looked at; 0 if that is not in the workspace. */
static int open_repository(struct guard *g, int git, int *ret)
{
    char line[PROTECT_PATH_MAX], common[PROTECT_PATH_MAX];

    if (protection_read_line(git, "commondir", line, sizeof(line)) < 0)
        return guard_refuse(g, "commondir", "cannot be read", -EINVAL);
    int r = leads_to(g, line, common);
    if (r < 0)
        return guard_refuse(g, "commondir", "has a path that is too long or has \"..\" in it", r);
    return r == 0 ? 0 : open_target(g, common, ret);
}

static int protect_repository(struct guard *g, int git, const char *top)
{
    int r = protect_once(g, git);

    return r < 0 ? r : git_named_protect(g, git, "config", top);
}

/* The git folder of a linked worktree, unless that was done with its repository. */
static int protect_worktree_once(struct guard *g, const char *path, const char *top)
{
    AUTO_FD int git = -EBADF;
    int r = open_target(g, path, &git);

    if (r >= 0 && !protection_has_mounted(git, "commondir") && !guard_is_read_only(git))
        r = git_folder_protect_worktree(g, git);
    return r < 0 ? r : git_named_protect(g, git, "config.worktree", top);
}

/* By an absolute path git within does not find it, and would remove it: so its repository comes
 * first, with which it may have become read-only as a whole. */
static int protect_target(struct guard *g, const char *path, const char *top, bool is_absolute)
{
    AUTO_FD int git = -EBADF, repository = -EBADF;
    int r = open_target(g, path, &git);

    if (r < 0 || guard_has(git, "commondir") != 1)
        return r < 0 ? r : protect_repository(g, git, top);
    if (!is_absolute) {
        r = protect_worktree_once(g, path, top);
        if (r < 0)
            return r;
    }
    r = open_repository(g, git, &repository);
    if (r > 0)
        r = protect_repository(g, repository, top);
    return r < 0 || !is_absolute ? r : protect_worktree_once(g, path, top);
}

int git_file_protect(struct guard *g, int folder)
{
    static const char key[] = "gitdir: ";
    char line[PROTECT_PATH_MAX], target[PROTECT_PATH_MAX];
    struct protection_place place;
    int r = guard_file(g, folder, ".git", NULL);

    if (r < 0)
        return r;
    ssize_t n = protection_read_line(folder, ".git", line, sizeof(line));
    if (n < 0)
        return guard_refuse(g, ".git", "cannot be read", (int)n);
    if (!has_prefix(line, key))
        return 0;
    r = leads_to(g, line + strlen(key), target);
    if (r < 0)
        return guard_refuse(g, ".git", "has a path that is too long or has \"..\" in it", r);
    if (r == 0)
        return 0;
    protection_keep(g, &place);
    r = protect_target(g, target, place.path, line[strlen(key)] == '/');
    protection_return(g, &place);
    return r;
}
