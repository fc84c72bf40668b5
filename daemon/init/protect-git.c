/* Repositories at the workspace's top; the contract stands in the header.
 *
 * Of a git folder (gitrepository-layout(5)) are made read-only, and made empty where they are
 * missing, so that they cannot be created:
 *
 *   config, config.worktree   what names programs; the latter counts with extensions.worktreeConfig
 *   hooks/                    programs
 *   modules/                  git folders of submodules; each that is there is writable again, but
 *                             for what is listed here
 *   worktrees/NAME/commondir  leads git to the configuration and hooks
 *   worktrees/NAME/           all of it, where it is of a worktree that is not in the cage
 *
 * config is replaced by a rename, so its folder has to stay writable: git makes its locks there.
 * The git folder, worktrees/ and its folders, and the folder that a repository lies in are mounted
 * on themselves, lest one be moved aside and another put in its place.
 *
 * What would have to be protected and cannot be is refused: symbolic links, further names of a
 * file, a `commondir` in a git folder that is no worktree's, a .git file that leads to a place in
 * the workspace where nothing is yet, more than the limits allow. */
#include "protect-git.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "guard.h"
#include "init-spec.h"
#include "root-files.h"
#include "scan-proto.h"
#include "util.h"

#define LEADS_ELSEWHERE                                                                            \
    "leads git to another folder's configuration and hooks, as it does in worktrees alone: "       \
    "remove "                                                                                      \
    "it"

struct protection {
    struct guard guard; /* first: the visitors get it */
    int workspace;
    size_t n_repositories, n_folders;
    unsigned depth; /* of folders in modules/ */
};

static struct protection *protection_of(struct guard *g)
{
    return CONTAINER_OF(g, struct protection, guard);
}

static int count_one(struct guard *g)
{
    if (++protection_of(g)->n_repositories > PROTECT_REPOSITORIES_MAX)
        return guard_refuse(
            g, "",
            "is one repository more than can be protected "
            "(" STRINGIFY(PROTECT_REPOSITORIES_MAX) ", with submodules and worktrees)",
            -E2BIG);
    return 0;
}

/* -- a git folder -- */

static int visit_hook(struct guard *g, int hooks, const char *name, unsigned char type)
{
    struct stat st;

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

/* A folder's contents, with its name in the reasons. */
static int each_in(struct guard *g, int fd, const char *name, size_t maximum,
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

static int protect_hooks(struct guard *g, int git)
{
    AUTO_FD int hooks = -EBADF;
    int r = guard_folder(g, git, "hooks", GUARD_READ_ONLY, true, &hooks);

    return r <= 0 ? r : each_in(g, hooks, "hooks", PROTECT_HOOKS_MAX, visit_hook);
}

/* Reads the one line of a small file without its end. The length, or -errno. */
static ssize_t read_line(int folder, const char *name, char *buffer, size_t size)
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

/* The git folder of a linked worktree: configuration and hooks are those of the repository. */
static int protect_worktree(struct guard *g, int git)
{
    int r = count_one(g);

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
    if (read_line(git, "commondir", line, sizeof(line)) < 0 || !streq(line, "../.."))
        return guard_refuse(g, "commondir", "does not lead to its repository", -EINVAL);
    return 0;
}

static bool has_mounted(int folder, const char *name)
{
    AUTO_FD int fd = guard_open(folder, name);

    return fd >= 0 && guard_is_mounted(fd);
}

/* Whether the worktree is where the agent's git cannot find it, by a path of the host's: so git
 * takes it for gone, and would remove what it keeps of it (git worktree prune, git gc). */
static bool is_elsewhere(int git)
{
    char line[PROTECT_PATH_MAX];

    return read_line(git, "gitdir", line, sizeof(line)) > 0 && line[0] == '/' &&
           !has_prefix(line, CAGE_WORKSPACE "/");
}

static int protect_elsewhere(struct guard *g, int git)
{
    AUTO_FD int read_only = guard_bind(git, GUARD_READ_ONLY);

    return read_only < 0 ? guard_refuse(g, "", "cannot be mounted on itself", read_only)
                         : count_one(g);
}

/* One that is here after all, by another path than git noted. */
static int protect_worktree_in_use(struct guard *g, int git)
{
    AUTO_FD int writable = guard_bind(git, is_elsewhere(git) ? GUARD_WRITABLE : GUARD_AS_IT_IS);

    return writable < 0 ? guard_refuse(g, "", "cannot be mounted on itself", writable)
                        : protect_worktree(g, writable);
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
    r = is_elsewhere(git) && !has_mounted(git, "commondir") ? protect_elsewhere(g, git)
                                                            : protect_own_worktree(g, git);
    guard_leave(g, before);
    return r;
}

static int protect_worktrees(struct guard *g, int git)
{
    AUTO_FD int worktrees = -EBADF;
    int r = guard_folder(g, git, "worktrees", GUARD_WRITABLE, false, &worktrees);

    return r <= 0 ? r
                  : each_in(g, worktrees, "worktrees", PROTECT_REPOSITORIES_MAX, visit_worktree);
}

static int protect_git_folder(struct guard *g, int git);

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
    r = has_head ? protect_git_folder(g, module)
                 : guard_each(g, module, PROTECT_REPOSITORIES_MAX, visit_module);
    p->depth--;
    guard_leave(g, before);
    return r;
}

static int protect_modules(struct guard *g, int git)
{
    AUTO_FD int modules = -EBADF;
    int r = guard_folder(g, git, "modules", GUARD_READ_ONLY, true, &modules);

    return r <= 0 ? r : each_in(g, modules, "modules", PROTECT_REPOSITORIES_MAX, visit_module);
}

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

/* `git` is mounted on itself already. */
static int protect_git_folder(struct guard *g, int git)
{
    int r = count_one(g);

    if (r >= 0)
        r = tell(g, git);
    if (r < 0)
        return r;
    r = guard_has(git, "commondir");
    if (r > 0)
        return guard_refuse(g, "commondir", LEADS_ELSEWHERE, -EINVAL);
    if (r < 0)
        return guard_refuse(g, "", "cannot be looked into", r);
    r = guard_file(g, git, "config", "");
    if (r >= 0)
        r = guard_file(g, git, "config.worktree", "");
    if (r >= 0)
        r = protect_hooks(g, git);
    if (r >= 0)
        r = protect_worktrees(g, git);
    return r < 0 ? r : protect_modules(g, git);
}

/* -- where a .git file leads -- */

/* Puts `path`, as seen from the folder `base` of the workspace, into `buffer`, without "." and
 * "..": no symbolic link will be walked. False if it leads out of the workspace. */
static bool resolve(const char *base, const char *path, char *buffer, size_t size)
{
    size_t used = strlen(base);

    if (used + strlen(path) + 2 > size || path[0] == '/')
        return false;
    memcpy(buffer, base, used + 1);
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            if (used == 0)
                return false;
            while (used > 0 && buffer[--used] != '/')
                ;
        } else if (length > 0 && !(length == 1 && path[0] == '.')) {
            if (used > 0)
                buffer[used++] = '/';
            memcpy(buffer + used, path, length);
            used += length;
        }
        buffer[used] = '\0';
        path += length + (path[length] == '/');
    }
    return true;
}

/* Opens a folder of the workspace and mounts each on the way on itself, lest one be moved aside. */
static int open_all(struct guard *g, const char *path, int *ret)
{
    AUTO_FD int folder = guard_open(protection_of(g)->workspace, ".");
    char name[NAME_MAX + 1];
    int r = folder;

    guard_leave(g, 0);
    while (r >= 0 && *path) {
        size_t length = strcspn(path, "/"), before;
        if (length >= sizeof(name))
            return guard_refuse(g, "", "has too long a name below it", -ENAMETOOLONG);
        memcpy(name, path, length);
        name[length] = '\0';
        path += length + (path[length] == '/');

        AUTO_FD int next = -EBADF;
        r = guard_folder(g, folder, name, GUARD_AS_IT_IS, false, &next);
        if (r == 0)
            return guard_refuse(g, name, "is where a .git file leads to, and not there", -ENOENT);
        if (r > 0)
            r = guard_enter(g, name, &before);
        fd_close(folder);
        folder = TAKE_FD(next);
    }
    if (r >= 0)
        *ret = TAKE_FD(folder);
    return r < 0 ? r : 0;
}

/* What a .git file or a worktree's commondir leads to. */
static int protect_once(struct guard *g, int git)
{
    if (has_mounted(git, "config"))
        return 0; /* a submodule's, or another worktree's: it was protected with its repository */
    if (guard_has(git, "HEAD") != 1)
        return guard_refuse(g, "", "is where a .git file leads to, and no git folder", -ENOENT);
    return protect_git_folder(g, git);
}

static int protect_target(struct guard *g, const char *path)
{
    char line[PROTECT_PATH_MAX], common[2 * PROTECT_PATH_MAX];
    AUTO_FD int git = -EBADF;
    int r = open_all(g, path, &git);

    if (r < 0)
        return r;
    if (guard_has(git, "commondir") != 1)
        return protect_once(g, git);
    if (has_mounted(git, "commondir"))
        return 0;
    r = protect_worktree_in_use(g, git);
    if (r < 0)
        return r;
    if (read_line(git, "commondir", line, sizeof(line)) < 0)
        return guard_refuse(g, "commondir", "cannot be read", -EINVAL);
    if (!resolve(path, line, common, sizeof(common)))
        return 0; /* not in the workspace */
    fd_close(git);
    git = -EBADF;
    r = open_all(g, common, &git);
    return r < 0 ? r : protect_once(g, git);
}

/* A .git file: of a worktree, a submodule, or git init --separate-git-dir. What lies outside of the
 * workspace is out of the agent's reach; an absolute path leads nowhere from within. */
static int protect_git_file(struct guard *g, int folder)
{
    static const char key[] = "gitdir: ";
    char line[PROTECT_PATH_MAX], base[PROTECT_PATH_MAX], target[2 * PROTECT_PATH_MAX];
    int r = guard_file(g, folder, ".git", NULL);

    if (r < 0)
        return r;
    ssize_t n = read_line(folder, ".git", line, sizeof(line));
    if (n < 0)
        return guard_refuse(g, ".git", "cannot be read", (int)n);
    if (!has_prefix(line, key))
        return 0;
    size_t length = g->path_length;
    memcpy(base, g->path, length + 1);
    if (!resolve(base, line + strlen(key), target, sizeof(target)))
        return 0;
    r = protect_target(g, target);
    memcpy(g->path, base, length + 1);
    g->path_length = length;
    return r;
}

/* -- the workspace -- */

static int protect_dot_git(struct guard *g, int folder)
{
    AUTO_FD int git = -EBADF;
    struct stat st;
    size_t before;

    if (fstatat(folder, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : guard_refuse(g, ".git", "cannot be looked at", negative_errno());
    if (S_ISREG(st.st_mode))
        return protect_git_file(g, folder);
    int r = guard_folder(g, folder, ".git", GUARD_AS_IT_IS, false, &git);
    if (r <= 0)
        return r;
    r = guard_enter(g, ".git", &before);
    if (r < 0)
        return r;
    r = protect_git_folder(g, git);
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

    return r >= 0 && is_bare(folder) ? protect_git_folder(g, folder) : r;
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

int protect_git(const struct init_spec *spec, const char *path, struct failure *failure)
{
    uid_t agent = (uid_t)spec->uid_base + CAGE_AGENT_UID;
    AUTO_FD int workspace = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct protection p = {
        .guard = {.agent = agent, .top = path, .failure = failure},
        .workspace = workspace,
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
