/* A git folder; the contract stands in the header.
 *
 * Of it are made read-only, and made empty where they are missing, so that they cannot be created:
 *
 *   config, config.worktree   what names programs; the latter counts with extensions.worktreeConfig
 *   hooks/                    programs
 *   modules/                  git folders of submodules; each that is there is writable again, but
 *                             for what is listed here
 *   worktrees/NAME/commondir  leads git to the configuration and hooks
 *   worktrees/NAME/           all of it, where it is of a worktree that is not in the cage
 *
 * config is replaced by a rename, so its folder has to stay writable: git makes its locks there.
 * The git folder, worktrees/ and its folders are mounted on themselves, lest one be moved aside and
 * another put in its place. */
#include "git-folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "git-named.h"
#include "git-path.h"
#include "git-protection.h"
#include "init-spec.h"
#include "scan-proto.h"
#include "util.h"

#define LEADS_ELSEWHERE                                                                            \
    "leads git to another folder's configuration and hooks, as it does in worktrees alone: "       \
    "remove "                                                                                      \
    "it"

static int protect_hooks(struct guard *g, int git)
{
    AUTO_FD int hooks = -EBADF;
    int r = guard_folder(g, git, "hooks", GUARD_READ_ONLY, true, &hooks);

    return r <= 0 ? r
                  : protection_each(g, hooks, "hooks", PROTECT_HOOKS_MAX, protection_visit_hook);
}

/* -- linked worktrees -- */

/* Configuration and hooks are those of the repository. */
static int protect_worktree(struct guard *g, int git)
{
    int r = protection_count(g);

    if (r >= 0)
        r = guard_file(g, git, "commondir", "../..\n");
    return r < 0 ? r : guard_file(g, git, "config.worktree", "");
}

/* In worktrees/: what git writes there leads to the repository that the folder is in. */
static int protect_own_worktree(struct guard *g, int git)
{
    char line[16];
    int r = protect_worktree(g, git);

    if (r < 0)
        return r;
    if (protection_read_line(git, "commondir", line, sizeof(line)) < 0 || !streq(line, "../.."))
        return guard_refuse(g, "commondir", "does not lead to its repository", -EINVAL);
    return 0;
}

/* Whether the worktree is where the agent's git cannot find it, by a path of the host's: so git
 * takes it for gone, and would remove what it keeps of it (git worktree prune, git gc). */
static bool is_elsewhere(int git)
{
    char line[PROTECT_PATH_MAX];

    return protection_read_line(git, "gitdir", line, sizeof(line)) > 0 && line[0] == '/' &&
           !has_prefix(line, CAGE_WORKSPACE "/");
}

static int protect_elsewhere(struct guard *g, int git)
{
    AUTO_FD int read_only = guard_bind(git, GUARD_READ_ONLY);

    return read_only < 0 ? guard_refuse(g, "", "cannot be mounted on itself", read_only)
                         : protection_count(g);
}

int git_folder_protect_worktree(struct guard *g, int git)
{
    AUTO_FD int writable = guard_bind(git, is_elsewhere(git) ? GUARD_WRITABLE : GUARD_AS_IT_IS);

    return writable < 0 ? guard_refuse(g, "", "cannot be mounted on itself", writable)
                        : protect_worktree(g, writable);
}

/* Whether a worktree is where its git folder says: one that was removed by hand is not to be made
 * again for the hooks in it. */
static bool is_there(struct guard *g, const char *git_file)
{
    AUTO_FD int fd = guard_open(protection_of(g)->workspace, git_file);

    return fd != -ENOENT && fd != -ENOTDIR;
}

/* What the configuration of its repository, and its own, name in the worktree. */
static int protect_named_in_worktree(struct guard *g, int git)
{
    char line[PROTECT_PATH_MAX], git_file[PROTECT_PATH_MAX], tree[PROTECT_PATH_MAX];
    struct protection_place own, repository;
    const char *top = tree;
    ssize_t n = protection_read_line(git, "gitdir", line, sizeof(line));

    if (n <= 0)
        return 0; /* nothing leads to it */
    protection_keep(g, &own);
    if (git_path_resolve(protection_of(g)->host, own.path, line, git_file, sizeof(git_file)) > 0 &&
        *git_file && is_there(g, git_file))
        (void)git_path_split(git_file, tree);
    else
        top = NULL;
    int r = git_named_protect(g, git, "config.worktree", top);
    if (r < 0 || !top)
        return r;
    (void)git_path_resolve("", own.path, "../..", repository.path, sizeof(repository.path));
    repository.length = strlen(repository.path);
    protection_return(g, &repository);
    r = git_named_protect(g, protection_of(g)->git, "config", top);
    protection_return(g, &own);
    return r;
}

static int visit_worktree(struct guard *g, int folder, const char *name, unsigned char type)
{
    AUTO_FD int git = -EBADF;
    size_t before;

    if (type != DT_DIR && type != DT_LNK)
        return 0;
    int r = guard_folder(g, folder, name, GUARD_WRITABLE, false, &git);
    if (r <= 0)
        return r;
    r = guard_enter(g, name, &before);
    if (r < 0)
        return r;
    r = is_elsewhere(git) && !protection_has_mounted(git, "commondir")
            ? protect_elsewhere(g, git)
            : protect_own_worktree(g, git);
    if (r >= 0)
        r = protect_named_in_worktree(g, git);
    guard_leave(g, before);
    return r;
}

static int protect_worktrees(struct guard *g, int git)
{
    struct protection *p = protection_of(g);
    AUTO_FD int worktrees = -EBADF;
    int r = guard_folder(g, git, "worktrees", GUARD_WRITABLE, false, &worktrees);
    int outer = p->git;

    if (r <= 0)
        return r;
    p->git = git;
    r = protection_each(g, worktrees, "worktrees", PROTECT_REPOSITORIES_MAX, visit_worktree);
    p->git = outer;
    return r;
}

/* -- submodules -- */

/* Below modules/, which is read-only: a git folder, or a folder of such, as the name of a submodule
 * may have slashes. */
static int visit_module(struct guard *g, int folder, const char *name, unsigned char type)
{
    struct protection *p = protection_of(g);
    AUTO_FD int module = -EBADF;
    size_t before;
    int has_head, r;

    if (type != DT_DIR && type != DT_LNK)
        return 0;
    if (p->depth == PROTECT_DEPTH_MAX)
        return guard_refuse(g, name, "lies too deep in folders of submodules", -E2BIG);
    r = guard_folder(g, folder, name, GUARD_AS_IT_IS, false, &module);
    if (r <= 0)
        return r;
    has_head = guard_has(module, "HEAD");
    if (has_head < 0)
        return guard_refuse(g, name, "cannot be looked into", has_head);
    if (has_head) {
        int git = guard_bind(module, GUARD_WRITABLE);
        if (git < 0)
            return guard_refuse(g, name, "cannot be mounted on itself", git);
        fd_close(module);
        module = git;
    }
    r = guard_enter(g, name, &before);
    if (r < 0)
        return r;
    p->depth++;
    r = has_head ? git_folder_protect(g, module)
                 : guard_each(g, module, PROTECT_REPOSITORIES_MAX, visit_module);
    p->depth--;
    guard_leave(g, before);
    return r;
}

static int protect_modules(struct guard *g, int git)
{
    AUTO_FD int modules = -EBADF;
    int r = guard_folder(g, git, "modules", GUARD_READ_ONLY, true, &modules);

    return r <= 0 ? r
                  : protection_each(g, modules, "modules", PROTECT_REPOSITORIES_MAX, visit_module);
}

/* -- the whole -- */

/* For caged-scan, which cannot know by itself what was there at the start. */
static int tell(struct guard *g, int git)
{
    struct statx st;

    if (statx(git, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
        return guard_refuse(g, "", "cannot be looked at", negative_errno());
    const struct protected_folder folder = {makedev(st.stx_dev_major, st.stx_dev_minor),
                                            st.stx_ino};
    ssize_t n = write(INIT_FD_PROTECTED, &folder, sizeof(folder));
    return n == (ssize_t)sizeof(folder)
               ? 0
               : guard_refuse(g, "", "cannot be noted", n < 0 ? negative_errno() : -EIO);
}

static int protect_parts(struct guard *g, int git)
{
    static int (*const parts[])(struct guard * g, int git) = {
        protect_hooks,
        protect_worktrees,
        protect_modules,
        git_named_protect_repository,
    };
    int r = guard_file(g, git, "config", "");

    if (r >= 0)
        r = guard_file(g, git, "config.worktree", "");
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(parts); i++)
        r = parts[i](g, git);
    return r < 0 ? r : 0;
}

int git_folder_protect(struct guard *g, int git)
{
    int r = protection_count(g);

    if (r >= 0)
        r = tell(g, git);
    if (r < 0)
        return r;
    r = guard_has(git, "commondir");
    if (r > 0)
        return guard_refuse(g, "commondir", LEADS_ELSEWHERE, -EINVAL);
    return r < 0 ? guard_refuse(g, "", "cannot be looked into", r) : protect_parts(g, git);
}
