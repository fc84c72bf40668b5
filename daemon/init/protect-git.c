/* Repositories at the workspace's top; the contract stands in the header. The folder that one lies
 * in is mounted on itself, lest it be moved aside and another put in its place.
 *
 * What would have to be protected and cannot be is refused: symbolic links, further names of a
 * file, a `commondir` in a git folder that is no worktree's, a .git file that leads to a place in
 * the workspace where nothing is yet, more than the limits allow, and what git-named.c lists. */
#include "protect-git.h"

#include <dirent.h>
#include <fcntl.h>

#include "git-file.h"
#include "git-folder.h"
#include "git-protection.h"
#include "root-files.h"
#include "util.h"

static int protect_dot_git(struct guard *g, int folder)
{
    AUTO_FD int git = -EBADF;
    struct stat st;
    size_t before;

    if (fstatat(folder, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : guard_refuse(g, ".git", "cannot be looked at", negative_errno());
    if (S_ISREG(st.st_mode))
        return git_file_protect(g, folder);
    int r = guard_folder(g, folder, ".git", GUARD_AS_IT_IS, false, &git);
    if (r <= 0)
        return r;
    r = guard_enter(g, ".git", &before);
    if (r < 0)
        return r;
    r = git_folder_protect(g, git);
    guard_leave(g, before);
    return r;
}

/* What git takes for a repository without a .git: with a commondir it looks for objects and refs
 * there. */
static bool is_bare(int folder)
{
    return guard_has(folder, "HEAD") == 1 &&
           (guard_has(folder, "commondir") == 1 ||
            (guard_has(folder, "objects") == 1 && guard_has(folder, "refs") == 1));
}

static int protect_repository(struct guard *g, int folder)
{
    int r = protect_dot_git(g, folder);

    return r >= 0 && is_bare(folder) ? git_folder_protect(g, folder) : r;
}

/* What the agent cannot look into it cannot change; if the folder is its own it can. */
static int unreadable(struct guard *g, int folder, const char *name, int error)
{
    struct stat st;

    if (fstat(folder, &st) == 0 && st.st_uid != g->agent && error == -EACCES)
        return 0;
    return guard_refuse(g, name, "cannot be looked into", error);
}

static int visit_top(struct guard *g, int workspace, const char *name, unsigned char type)
{
    size_t before;

    if (type != DT_DIR || streq(name, ".git"))
        return 0;
    if (++protection_of(g)->n_folders > PROTECT_FOLDERS_MAX)
        return guard_refuse(g, "",
                            "has more folders directly in it than are looked at "
                            "(" STRINGIFY(PROTECT_FOLDERS_MAX) ")",
                            -E2BIG);
    AUTO_FD int folder = guard_open(workspace, name);
    if (folder < 0)
        return folder == -ENOENT ? 0 : guard_refuse(g, name, "cannot be looked at", folder);
    int has = guard_has(folder, ".git");
    if (has < 0)
        return unreadable(g, folder, name, has);
    if (!has && !is_bare(folder))
        return 0;
    int mounted = guard_bind(folder, GUARD_AS_IT_IS);
    if (mounted < 0)
        return guard_refuse(g, name, "cannot be mounted on itself", mounted);
    fd_close(folder);
    folder = mounted;
    int r = guard_enter(g, name, &before);
    if (r < 0)
        return r;
    r = protect_repository(g, folder);
    guard_leave(g, before);
    return r;
}

static int protect_all(struct guard *g)
{
    int workspace = protection_of(g)->workspace;

    if (guard_has(workspace, ".git") == -EACCES)
        return 0; /* the agent may not enter it, which is told by who tries in its name (agent.c) */
    int r = protect_repository(g, workspace);

    return r < 0 ? r : guard_each(g, workspace, SIZE_MAX, visit_top);
}

int protect_git(const struct init_spec *spec, const char *path, const char *host,
                struct failure *failure)
{
    uid_t agent = (uid_t)spec->uid_base + CAGE_AGENT_UID;
    AUTO_FD int workspace = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct protection p = {
        .guard = {.agent = agent, .top = path, .failure = failure},
        .workspace = workspace,
        .host = host,
        .git = -EBADF,
    };
    int r = workspace < 0 ? negative_errno() : root_act_as(agent);

    if (r < 0)
        return failure_set(failure, "protect", path, r);
    r = protect_all(&p.guard);
    int back = root_act_as(0);
    if (r >= 0 && back < 0)
        return failure_set(failure, "protect", "setfsuid", back);
    return r < 0 ? r : 0;
}
