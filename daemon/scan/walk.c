/* Looks at each name in the workspace and asks for the times of those that match alone.
 *
 * A time of change (ctime) is the kernel's own: nobody can set it. Renaming a folder changes that
 * of the folder, but of nothing in it; so a folder that by its name makes files matter is told of
 * by itself. The folder of a repository changes with each commit: it is told of where the agent
 * could have put another in its place, that is unless it was protected from the start.
 *
 * What counts by its name at the top is looked at before all else, lest a flood of names further
 * down keep it from being told of.
 *
 * Of a git folder only those folders are looked into that can hold what counts. A folder that looks
 * like a bare repository is looked through like any other, too: it is quickly made. */
#include "walk.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "caged-limits.h"
#include "output.h"
#include "planted-kind.h"
#include "util.h"

#define PATH_SIZE (SCAN_DEPTH_MAX * (NAME_MAX + 1))
#define LOOK_EVERY 512 /* names, between two looks at the clock */

struct level {
    int fd;
    char name[NAME_MAX + 1];
    size_t path_length; /* of the folder's own path */
    struct planted_folder folder;
    enum planted_kind kind; /* if it makes files matter */
    bool matters;
    bool in_git; /* somewhere below a .git */
    bool is_new; /* the folder itself */
    bool blind;  /* what is in it can be listed, but not looked at */
    enum planted_change change;
    size_t n_names, n_found; /* in the folder itself; if it is `deep`, below it too */
    ssize_t n, at;           /* of `buffer` */
    _Alignas(struct dirent64) char buffer[4096];
};

static struct {
    const struct walk_options *options;
    struct level levels[SCAN_DEPTH_MAX];
    size_t depth; /* levels in use */
    char path[PATH_SIZE + 1];
    size_t n_names;
    bool at_first; /* what counts at the top; then the rest */
    time_t end;
    enum scan_result result;
} w;

static bool not_before(const struct statx_timestamp *time, const struct timespec *since)
{
    return time->tv_sec > since->tv_sec ||
           (time->tv_sec == since->tv_sec && time->tv_nsec >= (uint32_t)since->tv_nsec);
}

/* Whether it was created or changed since the start. */
static bool is_new(const struct statx *st, enum planted_change *ret)
{
    const struct timespec *since = &w.options->since;

    if (!not_before(&st->stx_ctime, since))
        return false;
    *ret = (st->stx_mask & STATX_BTIME) && not_before(&st->stx_btime, since) ? PLANTED_CREATED
                                                                             : PLANTED_CHANGED;
    return true;
}

static bool look(int folder, const char *name, struct statx *ret)
{
    return statx(folder, name,
                 AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC | (*name ? 0 : AT_EMPTY_PATH),
                 STATX_TYPE | STATX_CTIME | STATX_BTIME | STATX_SIZE | STATX_INO, ret) == 0;
}

/* The path of a name in the folder of this level, until the next call. */
static const char *path_of(const struct level *level, const char *name)
{
    size_t length = strlen(name), at = level->path_length;

    if (at > 0)
        w.path[at++] = '/';
    memcpy(w.path + at, name, length + 1);
    return w.path;
}

static void found(const struct level *level, const char *name, enum planted_kind kind,
                  enum planted_change change)
{
    if (!output_found(kind, change, path_of(level, name)))
        w.result = SCAN_FAILED;
}

static void fall_short(enum scan_result result)
{
    if (w.result == SCAN_COMPLETE)
        w.result = result;
}

/* -- files -- */

/* What is there without having a meaning: caged-init makes an empty config.worktree in each
 * repository, and where a configuration includes a file that is missing (.gitconfig is what such
 * ones are called); git makes an example of each hook. */
static bool is_placeholder(const struct level *level, const char *name, const struct statx *st)
{
    size_t length = strlen(name), end = strlen(".sample");

    if (level->matters && level->kind == PLANTED_GIT_HOOK)
        return length > end && streq(name + length - end, ".sample");
    return st->stx_size == 0 && S_ISREG(st->stx_mode) &&
           (streq(name, "config.worktree") || streq(name, ".gitconfig"));
}

/* A link in the place of a folder that matters, too. In a folder that was moved all is as new as
 * that, but for a folder all of whose files matter: that is told of as a whole. */
static void see_file(struct level *level, const char *name, unsigned char type)
{
    struct planted_folder folder;
    enum planted_change change;
    enum planted_kind kind;
    struct statx st;

    if (!planted_match_file(&level->folder, name, &kind) &&
        (type != DT_LNK || !planted_enter(&level->folder, name, &folder, &kind)))
        return;
    if (!look(level->fd, name, &st)) {
        level->blind = level->blind || errno == EACCES;
        return;
    }
    if (is_placeholder(level, name, &st))
        return;
    level->n_names++;
    if (!is_new(&st, &change)) {
        if (!level->matters || level->folder.deep || !level->is_new)
            return;
        change = PLANTED_CHANGED;
    }
    level->n_found++;
    found(level, name, kind, change);
}

/* -- folders -- */

static bool has(int folder, const char *name)
{
    struct statx st;

    return look(folder, name, &st);
}

/* Whether git takes it for a git folder: with a commondir it looks for objects and refs there.
 * Within one, where it looks by itself for those of submodules and worktrees, HEAD is enough. */
static bool is_git_folder(int fd, bool in_git)
{
    return has(fd, "HEAD") &&
           (in_git || has(fd, "commondir") || (has(fd, "objects") && has(fd, "refs")));
}

/* Of a git folder: what can hold something that counts. */
static bool is_worth_it(const char *name)
{
    static const char *const names[] = {"hooks", "modules", "worktrees", "rebase-merge", "info"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (streq(names[i], name))
            return true;
    return false;
}

static bool was_protected(int fd)
{
    struct statx st;

    if (!look(fd, "", &st))
        return false;
    for (size_t i = 0; i < w.options->n_protected; i++)
        if (w.options->protected[i].inode == st.stx_ino &&
            w.options->protected[i].device == makedev(st.stx_dev_major, st.stx_dev_minor))
            return true;
    return false;
}

/* The git folder of a repository: whether it is new, or may have been put there. The workspace
 * itself, which has no parent, may be one. */
static void see_repository(const struct level *parent, const struct level *git)
{
    if (!git->is_new || was_protected(git->fd))
        return;
    if (parent)
        found(parent, git->name, PLANTED_GIT_REPOSITORY, git->change);
    else
        found(git, ".", PLANTED_GIT_REPOSITORY, git->change);
}

/* With its own time, which an agent that takes the right to read away cannot set back. */
static void see_hidden(struct level *level, const char *name)
{
    enum planted_change change;
    struct statx st;

    if (!look(level->fd, name, &st))
        level->blind = level->blind || errno == EACCES;
    else if (is_new(&st, &change))
        found(level, name, PLANTED_HIDDEN, change);
}

static int open_folder(struct level *level, const char *name)
{
    int fd = openat(level->fd, name, WALK_OPEN_FLAGS);

    if (fd >= 0)
        return fd;
    if (errno == EACCES)
        see_hidden(level, name);
    else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) /* it is gone, or another */
        fall_short(SCAN_FAILED);
    return -1;
}

static struct level *push(int fd, const struct level *parent, const char *name)
{
    struct level *level = &w.levels[w.depth++];
    struct statx st;

    (void)memcpy(level->name, name, strlen(name) + 1); /* see() lets none longer pass */
    level->fd = fd;
    level->path_length = parent ? strlen(path_of(parent, name)) : 0;
    level->folder = (struct planted_folder){.name = level->name};
    level->matters = level->in_git = level->blind = false;
    level->n_names = level->n_found = 0;
    level->n = level->at = 0;
    level->is_new = look(fd, "", &st) && is_new(&st, &level->change);
    return level;
}

static void see_subfolder(struct level *parent, const char *name)
{
    bool is_dot_git = streq(name, ".git");

    if (parent->in_git && parent->folder.git && !is_worth_it(name))
        return;
    if (w.depth == SCAN_DEPTH_MAX) {
        fall_short(SCAN_TOO_DEEP);
        return;
    }
    int fd = open_folder(parent, name);
    if (fd < 0)
        return;
    struct level *level = push(fd, parent, name);
    level->matters = planted_enter(&parent->folder, level->name, &level->folder, &level->kind);
    if (level->folder.deep)
        level->kind = level->folder.deep_kind;
    level->in_git = parent->in_git || is_dot_git;
    level->folder.git = is_dot_git || is_git_folder(fd, parent->in_git);
    if (is_dot_git || (level->folder.git && !parent->in_git))
        see_repository(parent, level);
}

/* -- the walk -- */

/* A folder all of whose files matter, however deep, and which was moved here or had one taken out:
 * nothing in it tells of that. */
static void pop_deep(struct level *parent, struct level *level)
{
    if (level->is_new && level->n_names > 0 && level->n_found == 0) {
        level->n_found++;
        found(parent, level->name, level->kind, level->change);
    }
    if (parent->folder.deep) {
        parent->n_names += level->n_names;
        parent->n_found += level->n_found;
    }
}

static void pop(void)
{
    struct level *level = &w.levels[--w.depth];

    (void)close(level->fd);
    if (w.depth == 0)
        return;
    if (level->blind && level->is_new)
        found(level - 1, level->name, PLANTED_HIDDEN, level->change);
    if (level->folder.deep)
        pop_deep(level - 1, level);
}

static time_t now(void)
{
    struct timespec time = {};

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

/* Whether it may go on. */
static bool count_name(void)
{
    if (++w.n_names > SCAN_ENTRIES_MAX)
        fall_short(SCAN_TOO_MANY);
    else if (w.n_names % LOOK_EVERY == 0 && now() >= w.end)
        fall_short(SCAN_TOO_LONG);
    else
        return true;
    return false;
}

/* DT_UNKNOWN: the file system does not tell. */
static unsigned char type_of(const struct level *level, const struct dirent64 *entry)
{
    struct statx st;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    return look(level->fd, entry->d_name, &st) ? (unsigned char)IFTODT(st.stx_mode) : DT_REG;
}

static bool counts_at_top(const struct level *level, const char *name, unsigned char type)
{
    struct planted_folder folder;
    enum planted_kind kind;

    return type != DT_DIR || planted_enter(&level->folder, name, &folder, &kind);
}

static void see(struct level *level, const struct dirent64 *entry)
{
    if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
        return;
    if (strlen(entry->d_name) > NAME_MAX) { /* vfat counts UTF-16: a name may have 765 bytes */
        fall_short(SCAN_FAILED);
        return;
    }
    unsigned char type = type_of(level, entry);
    if (w.depth == 1 && counts_at_top(level, entry->d_name, type) != w.at_first)
        return;
    if (type == DT_DIR)
        see_subfolder(level, entry->d_name);
    else
        see_file(level, entry->d_name, type);
}

/* One name of the deepest level, or its end. False: no more. */
static bool step(void)
{
    struct level *level = &w.levels[w.depth - 1];

    if (level->at >= level->n) {
        level->n = getdents64(level->fd, level->buffer, sizeof(level->buffer));
        level->at = 0;
        if (level->n < 0)
            fall_short(SCAN_FAILED); /* ENOENT: it has been removed */
        if (level->n <= 0) {
            pop();
            return w.depth > 0;
        }
    }
    const struct dirent64 *entry =
        (const struct dirent64 *)(const void *)(level->buffer + level->at);
    level->at += entry->d_reclen;
    if (!count_name())
        return false;
    see(level, entry);
    return true;
}

/* Whether it came to its end. */
static bool walk_once(bool at_first)
{
    int fd = openat(AT_FDCWD, ".", WALK_OPEN_FLAGS);

    if (fd < 0) {
        fall_short(SCAN_FAILED);
        return false;
    }
    w.at_first = at_first;
    struct level *top = push(fd, NULL, "");
    top->folder.git = is_git_folder(fd, false);
    if (top->folder.git && at_first)
        see_repository(NULL, top);
    while (step())
        ;
    return w.depth == 0;
}

enum scan_result walk(const struct walk_options *options)
{
    w.options = options;
    w.end = now() + SCAN_SECONDS - 1;
    if (walk_once(true))
        (void)walk_once(false);
    return w.result;
}
