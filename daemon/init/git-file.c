/* A .git file; the contract stands in the header.
 *
 * What lies outside of the workspace is out of the agent's reach; an absolute path leads nowhere
 * from within, so what it leads to is left alone. */
#include "git-file.h"

#include "git-folder.h"
#include "git-named.h"
#include "git-path.h"
#include "git-protection.h"
#include "util.h"

/* As git_path_resolve(). */
static int leads_to(struct guard *g, const char *path, char target[PROTECT_PATH_MAX])
{
    return path[0] == '/'
               ? 0
               : git_path_resolve(protection_of(g)->host, g->path, path, target, PROTECT_PATH_MAX);
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

/* From the git folder of a linked worktree, which it protects, to that of its repository: 1 with
 * *git replaced, and the path that is looked at; 0 if that is not in the workspace. */
static int go_to_repository(struct guard *g, const char *top, int *git)
{
    char line[PROTECT_PATH_MAX], common[PROTECT_PATH_MAX];
    int r = protection_has_mounted(*git, "commondir") ? 0 : git_folder_protect_worktree(g, *git);

    if (r >= 0)
        r = git_named_protect(g, *git, "config.worktree", top);
    if (r < 0)
        return r;
    if (protection_read_line(*git, "commondir", line, sizeof(line)) < 0)
        return guard_refuse(g, "commondir", "cannot be read", -EINVAL);
    r = leads_to(g, line, common);
    if (r < 0)
        return guard_refuse(g, "commondir", "has a path that is too long or has \"..\" in it", r);
    if (r == 0)
        return 0;
    fd_close(*git);
    *git = -EBADF;
    return open_target(g, common, git);
}

static int protect_target(struct guard *g, const char *path, const char *top)
{
    AUTO_FD int git = -EBADF;
    int r = open_target(g, path, &git);

    if (r >= 0 && guard_has(git, "commondir") == 1) {
        r = go_to_repository(g, top, &git);
        if (r == 0)
            return 0;
    }
    if (r >= 0)
        r = protect_once(g, git);
    return r < 0 ? r : git_named_protect(g, git, "config", top);
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
    r = protect_target(g, target, place.path);
    protection_return(g, &place);
    return r;
}
