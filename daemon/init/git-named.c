/* What a configuration names; the contract stands in the header.
 *
 * A relative core.hooksPath counts from where hooks run, the top of the work tree, or the git
 * folder of a bare repository; a relative include.path from the file that it stands in. Which
 * conditions of includeIf hold, or which of two values of one name counts, is not asked: all that
 * is named is protected.
 *
 * What is refused besides what guard.h refuses: a configuration that git could not read either,
 * includes deeper than git's own bound, a folder of hooks that the repository lies in (which would
 * have to be read-only as a whole), and a path with a ".." behind a name. */
#include "git-named.h"

#include <fcntl.h>
#include <stdio.h>

#include "git-config.h"
#include "git-path.h"
#include "git-protection.h"
#include "util.h"

/* One configuration and the repository it is of. */
struct view {
    struct guard *g;
    const char *git, *top; /* its folders, from the workspace on */
    const char *name;      /* of the file, in the folder that is looked at */
    unsigned depth;        /* of includes */
};

static int read_configuration(const struct view *view, int folder);

static int count_named(const struct view *view)
{
    if (++protection_of(view->g)->n_named > PROTECT_NAMED_MAX)
        return guard_refuse(view->g, view->name,
                            "names one hooks folder or file more than can be protected "
                            "(" STRINGIFY(PROTECT_NAMED_MAX) ", with those of all configurations)",
                            -E2BIG);
    return 0;
}

static bool has_read_only(int folder, const char *name)
{
    AUTO_FD int fd = guard_open(folder, name);

    return fd >= 0 && guard_is_read_only(fd);
}

/* Where a value leads: as git_path_resolve(), but -errno after guard_refuse(). What begins with
 * "~" or "%(prefix)/" lies in a home or with git itself (git-config(1), "pathname"). */
static int resolve(const struct view *view, const char *base, const char *value,
                   char target[PROTECT_PATH_MAX])
{
    static const char optional[] = ":(optional)"; /* as of git 2.52 */
    const char *path = value + (has_prefix(value, optional) ? strlen(optional) : 0);

    if (path[0] == '\0' || path[0] == '~' || has_prefix(path, "%(prefix)/") ||
        (path[0] != '/' && !base))
        return 0;
    int r = git_path_resolve(protection_of(view->g)->host, base ? base : "", path, target,
                             PROTECT_PATH_MAX);
    if (r == -EINVAL)
        return guard_refuse(view->g, view->name,
                            "names a path with \"..\" behind a name: write it without", r);
    return r < 0 ? guard_refuse(view->g, view->name, "names too long a path", r) : r;
}

/* -- folders of hooks -- */

static int protect_hooks(struct guard *g, const char *path)
{
    char parent[PROTECT_PATH_MAX];
    const char *name = git_path_split(path, parent);
    AUTO_FD int folder = -EBADF, hooks = -EBADF;
    int r = protection_open(g, parent, true, &folder);

    if (r <= 0)
        return r;
    if (has_read_only(folder, name))
        hooks = guard_open(folder, name);
    if (hooks < 0)
        r = guard_folder(g, folder, name, GUARD_READ_ONLY_BELOW, true, &hooks);
    return hooks < 0 ? r
                     : protection_each(g, hooks, name, PROTECT_HOOKS_MAX, protection_visit_hook);
}

static bool has_repository(const struct view *view, const char *path)
{
    return git_path_is_in(view->git, path) || (view->top && git_path_is_in(view->top, path));
}

/* A .git that is a file: .git/hooks is nowhere then, as in a linked worktree of a repository that
 * has so named its own. An agent that puts a folder in its place has made another repository. */
static bool lies_behind_git_file(const struct view *view, const char *path)
{
    char git[PROTECT_PATH_MAX];
    struct stat st;

    if (git_path_resolve("", view->top, ".git", git, sizeof(git)) <= 0 ||
        !git_path_is_in(path, git))
        return false;
    AUTO_FD int fd = guard_open(protection_of(view->g)->workspace, git);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* husky's hooks lie in a folder "_", and run what lies beside that. */
static int protect_hooks_path(const struct view *view, const char *value)
{
    struct guard *g = view->g;
    struct protection_place place;
    char target[PROTECT_PATH_MAX], parent[PROTECT_PATH_MAX];
    int r = resolve(view, view->top, value, target);

    if (r <= 0)
        return r;
    if (has_repository(view, target))
        return guard_refuse(g, view->name,
                            "has a core.hooksPath that names a folder with the repository in it, "
                            "all of which would be read-only: give hooks a folder of their own",
                            -EINVAL);
    if (view->top && lies_behind_git_file(view, target))
        return 0;
    r = count_named(view);
    if (r < 0)
        return r;
    protection_keep(g, &place);
    r = protect_hooks(g, target);
    if (r >= 0 && streq(git_path_split(target, parent), "_") && !has_repository(view, parent))
        r = protect_hooks(g, parent);
    protection_return(g, &place);
    return r < 0 ? r : 0;
}

/* -- further configuration -- */

/* The path that is looked at becomes the folder's that it lies in. */
static int protect_included(struct view *view, const char *path)
{
    struct guard *g = view->g;
    char parent[PROTECT_PATH_MAX];
    AUTO_FD int folder = -EBADF;
    int r;

    view->name = git_path_split(path, parent);
    r = protection_open(g, parent, true, &folder);
    if (r > 0 && !has_read_only(folder, view->name))
        r = guard_file(g, folder, view->name, "");
    return r <= 0 ? r : read_configuration(view, folder);
}

static int protect_include(const struct view *view, const char *value)
{
    struct guard *g = view->g;
    struct view next = *view;
    struct protection_place place;
    char target[PROTECT_PATH_MAX];
    int r = resolve(view, g->path, value, target);

    if (r <= 0)
        return r;
    if (next.depth++ == PROTECT_INCLUDE_DEPTH_MAX)
        return guard_refuse(g, view->name,
                            "includes files in one another deeper than git does "
                            "(" STRINGIFY(PROTECT_INCLUDE_DEPTH_MAX) "), or itself",
                            -ELOOP);
    r = count_named(view);
    if (r < 0)
        return r;
    protection_keep(g, &place);
    r = protect_included(&next, target);
    protection_return(g, &place);
    return r;
}

/* -- reading -- */

struct source {
    int fd;
    struct protection *protection;
};

static ssize_t read_source(void *context, char *buffer, size_t size)
{
    struct source *source = context;
    ssize_t n = read(source->fd, buffer, size);

    if (n < 0)
        return negative_errno();
    source->protection->n_bytes_of_text += (size_t)n;
    return source->protection->n_bytes_of_text > PROTECT_CONFIG_BYTES_MAX ? -E2BIG : n;
}

static int refuse_configuration(struct guard *g, const char *name, unsigned line, int error)
{
    static char sentence[96]; /* failures are told once */

    if (error == -E2BIG)
        return guard_refuse(g, name,
                            "is more configuration than is read "
                            "(" STRINGIFY(PROTECT_CONFIG_BYTES_MAX) " bytes in all)",
                            error);
    if (error != -EBADMSG && error != -ENAMETOOLONG)
        return guard_refuse(g, name, "cannot be read", error);
    (void)snprintf(sentence, sizeof(sentence), "is no configuration of git's: %s line %u",
                   error == -EBADMSG ? "see" : "too long a path in", line);
    return guard_refuse(g, name, sentence, error);
}

/* 1 with *ret, 0 if there is none. */
static int open_configuration(struct guard *g, int folder, const char *name, int *ret)
{
    AUTO_FD int fd =
        openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : guard_refuse(g, name, "cannot be read", negative_errno());
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return guard_refuse(g, name, "is not a regular file", -EINVAL);
    *ret = TAKE_FD(fd);
    return 1;
}

/* Calls `take` for each value; 0, or -errno after guard_refuse(). */
static int each_value(const struct view *view, int folder,
                      int (*take)(const struct view *view, enum git_config_key key,
                                  const char *value, void *context),
                      void *context)
{
    AUTO_FD int fd = -EBADF;
    char value[PROTECT_PATH_MAX];
    struct git_config config;
    enum git_config_key key;
    int r = open_configuration(view->g, folder, view->name, &fd);
    struct source source = {fd, protection_of(view->g)};

    if (r <= 0)
        return r;
    git_config_init(&config, read_source, &source);
    while ((r = git_config_next(&config, &key, value)) > 0) {
        r = take(view, key, value, context);
        if (r < 0)
            return r;
    }
    return r < 0 ? refuse_configuration(view->g, view->name, config.line, r) : 0;
}

static int take_named(const struct view *view, enum git_config_key key, const char *value,
                      void *context)
{
    switch (key) {
    case GIT_CONFIG_HOOKS_PATH:
        return protect_hooks_path(view, value);
    case GIT_CONFIG_INCLUDE_PATH:
        return protect_include(view, value);
    default:
        return 0;
    }
}

static int read_configuration(const struct view *view, int folder)
{
    return each_value(view, folder, take_named, NULL);
}

int git_named_protect(struct guard *g, int git, const char *name, const char *top)
{
    struct protection_place place;
    const struct view view = {.g = g, .git = place.path, .top = top, .name = name};

    protection_keep(g, &place);
    return read_configuration(&view, git);
}

/* -- the work tree -- */

/* What one configuration says of it. */
struct work_tree {
    char path[PROTECT_PATH_MAX];
    const char *top; /* `path`, or NULL: it lies outside of the workspace */
    bool set;
    bool names; /* anything else that counts */
};

/* The last one counts. Git takes no notice of what includes say of it. */
static int take_work_tree(const struct view *view, enum git_config_key key, const char *value,
                          void *context)
{
    struct work_tree *tree = context;

    if (key != GIT_CONFIG_WORK_TREE) {
        tree->names = true;
        return 0;
    }
    int r = resolve(view, view->git, value, tree->path);
    if (r < 0)
        return r;
    tree->set = true;
    tree->top = r > 0 ? tree->path : NULL;
    return 0;
}

/* That of the repository, or its git folder if it is bare. */
static void find_default(const struct guard *g, struct work_tree *ret)
{
    if (streq(git_path_split(g->path, ret->path), ".git"))
        return;
    memcpy(ret->path, g->path, g->path_length + 1);
}

int git_named_protect_repository(struct guard *g, int git)
{
    static const char *const names[] = {"config", "config.worktree"};
    struct work_tree trees[ARRAY_SIZE(names)] = {{.top = trees[0].path, .set = true}};
    struct protection_place place;
    int r = 0;

    protection_keep(g, &place);
    find_default(g, &trees[0]);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(names); i++) {
        const struct view view = {.g = g, .git = place.path, .name = names[i]};
        r = each_value(&view, git, take_work_tree, &trees[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        for (size_t j = 0; r >= 0 && trees[i].set && j < ARRAY_SIZE(names); j++)
            if (trees[j].names)
                r = git_named_protect(g, git, names[j], trees[i].top);
    return r;
}
