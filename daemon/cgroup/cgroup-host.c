/* Which cgroup hierarchies this host has, and our folder in each. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/xattr.h>

#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup.h"
#include "fd-io.h"
#include "why.h"

#define PROC_FILE_MAX (1024 * 1024)
#define LEFTOVER_WAIT_USEC 20000
#define LEFTOVER_TRIES 100

static const char *const controller_names[CGROUP_CONTROLLER_COUNT] = {
    [CGROUP_MEMORY] = "memory",
    [CGROUP_CPU] = "cpu",
    [CGROUP_PIDS] = "pids",
    [CGROUP_IO] = "io",
};

const char *cgroup_controller_to_string(enum cgroup_controller controller)
{
    return controller_names[controller];
}

/* Whether `list`, separated by `separator`, has this very word. */
static bool list_has(const char *list, char separator, const char *word)
{
    size_t length = strlen(word);

    for (const char *p = list; p; p = strchr(p, separator), p = p ? p + 1 : NULL)
        if (strncmp(p, word, length) == 0 && (p[length] == separator || p[length] == 0))
            return true;
    return false;
}

/* One line of /proc/self/mountinfo (proc_pid_mountinfo(5)): the mount point, the file system's
 * type and the super block's options, which name the controllers of a v1 hierarchy. */
static bool split_mount_line(char *line, char **ret_point, char **ret_type, char **ret_options)
{
    char *rest = line, *field = NULL;

    for (int i = 0; i < 5; i++)
        if (!(field = strsep(&rest, " ")))
            return false;
    *ret_point = field;
    char *after = rest ? strstr(rest, "- ") : NULL;
    if (!after)
        return false;
    after += 2;
    *ret_type = strsep(&after, " ");
    if (!after || !strsep(&after, " ") || !after)
        return false;
    *ret_options = after;
    return true;
}

static int set_path(char **path, const char *a, const char *b)
{
    char *joined;

    if (*path)
        return 0; /* the first mount of a hierarchy is as good as any */
    if (asprintf(&joined, "%s/%s", a, b) < 0)
        return -ENOMEM;
    *path = joined;
    return 0;
}

/* Fills in where the hierarchies are mounted. */
static int find_mounts(struct cgroup_host *host, const char *name)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = file_read_all("/proc/self/mountinfo", PROC_FILE_MAX, &text, &size);

    if (r < 0)
        return r;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) && *line) {
        char *point, *type, *options;
        if (!split_mount_line(line, &point, &type, &options))
            continue;
        if (streq(type, "cgroup2") && !host->mount && !(host->mount = strdup(point)))
            return -ENOMEM;
        if (!streq(type, "cgroup"))
            continue;
        for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
            if (!list_has(options, ',', controller_names[c]))
                continue;
            r = set_path(&host->controllers[c].base, point, name);
            if (r < 0)
                return r;
            host->controllers[c].v1 = true;
        }
    }
    return 0;
}

/* The daemon's own v2 cgroup, if systemd delegated it to us (systemd marks that by an extended
 * attribute, systemd.resource-control(5) Delegate=), else NULL. */
static int find_delegated(const char *unified, char **ret)
{
    AUTO_FREE char *text = NULL, *path = NULL;
    size_t size;
    char mark;
    int r = file_read_all("/proc/self/cgroup", PROC_FILE_MAX, &text, &size);

    if (r < 0)
        return r;
    char *line = strstr(text, "0::/");
    if (!line || (line != text && line[-1] != '\n'))
        return 0;
    line += 3;
    line[strcspn(line, "\n")] = 0;
    if (asprintf(&path, "%s%s", unified, line) < 0)
        return -ENOMEM;
    if (getxattr(path, "trusted.delegate", &mark, 1) == 1 && mark == '1')
        *ret = TAKE_PTR(path);
    return 0;
}

/* Calls `visit` for each folder below `path` whose name begins so. */
static void each_folder(const char *path, const char *prefix, void (*visit)(const char *below))
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char below[PATH_MAX];

    if (!folder)
        return;
    while ((entry = readdir(folder))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' ||
            !has_prefix(entry->d_name, prefix))
            continue;
        if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < (int)sizeof(below))
            visit(below);
    }
    (void)closedir(folder);
}

/* Removes a tree of cgroups, deepest first, as far as they are empty. */
static void remove_tree(const char *path)
{
    each_folder(path, "", remove_tree);
    cgroup_folder_ease(path);
    (void)rmdir(path);
}

/* v1 folders have no such file: their processes are in a v2 one too. */
void cgroup_folder_kill(const char *path)
{
    (void)cgroup_file_write_in(path, "cgroup.kill", "1");
}

/* Ends the processes in a tree and removes it. */
static void clear_tree(const char *path)
{
    cgroup_folder_kill(path);
    for (int i = 0; i < LEFTOVER_TRIES; i++) {
        remove_tree(path);
        if (access(path, F_OK) < 0)
            return;
        (void)usleep(LEFTOVER_WAIT_USEC);
    }
}

/* Clears away what an earlier daemon left below `path`: only folders of our own naming. */
static void clear_leftovers(const char *path)
{
    each_folder(path, "owner-", clear_tree);
}

/* Two daemons with one folder would clear away each other's agents: whoever holds the lock of the
 * v2 folder has it. -EBUSY if that is somebody else. */
static int lock_folder(const char *path, int *ret_fd)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return negative_errno();
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : negative_errno();
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Below a delegated cgroup the daemon must not stay where its agents' cgroups branch off ("no
 * internal processes", cgroup-v2.rst): it moves into a leaf. */
static int move_to_leaf(const char *unified)
{
    char leaf[PATH_MAX];

    if (snprintf(leaf, sizeof(leaf), "%s/daemon", unified) >= (int)sizeof(leaf))
        return -ENAMETOOLONG;
    int r = folder_make(leaf);
    return r < 0 ? r : cgroup_file_write_in(leaf, "cgroup.procs", "0");
}

/* The controllers that reach a v2 folder, that it can hand on. */
static int read_controllers(const char *folder, char **ret)
{
    AUTO_FREE char *path = NULL;
    size_t size;

    if (asprintf(&path, "%s/cgroup.controllers", folder) < 0)
        return -ENOMEM;
    int r = file_read_all(path, PROC_FILE_MAX, ret, &size);
    if (r >= 0)
        (*ret)[strcspn(*ret, "\n")] = 0;
    return r;
}

/* For each controller that no v1 hierarchy has: v2 must have it, and hand it down to our folder. */
static int enable_unified(struct cgroup_host *host, const char *parent)
{
    AUTO_FREE char *available = NULL;
    int r = read_controllers(parent, &available);

    if (r < 0)
        return r;
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        char enable[16];
        if (host->controllers[c].v1 || !list_has(available, ' ', controller_names[c]))
            continue;
        (void)snprintf(enable, sizeof(enable), "+%s", controller_names[c]);
        if (!streq(parent, host->unified)) {
            r = cgroup_file_write_in(parent, "cgroup.subtree_control", enable);
            if (r < 0)
                return r;
        }
        r = cgroup_file_write_in(host->unified, "cgroup.subtree_control", enable);
        if (r < 0)
            return r;
        host->controllers[c].base = strdup(host->unified);
        if (!host->controllers[c].base)
            return -ENOMEM;
    }
    return 0;
}

int cgroup_host_init_unit(struct cgroup_host *ret, const struct cgroup_host *host,
                          const char *folder, char **ret_why)
{
    CLEANUP(cgroup_host_deinit) struct cgroup_host unit = {.lock_fd = -EBADF, .unit = true};
    AUTO_FREE char *available = NULL;

    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
        if (host->controllers[c].v1)
            return why_set(ret_why, -ENOTSUP,
                           "this host has the %s controller on a cgroup v1 hierarchy, where "
                           "systemd's limits for the unit would not hold the agent; boot it with "
                           "systemd.unified_cgroup_hierarchy=1",
                           controller_names[c]);
    int r = read_controllers(folder, &available);
    if (r < 0)
        return r;
    unit.mount = strdup(host->mount);
    unit.unified = strdup(folder);
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        if (!list_has(available, ' ', controller_names[c]))
            continue;
        unit.controllers[c].base = strdup(folder);
        if (!unit.controllers[c].base)
            return -ENOMEM;
    }
    if (!unit.mount || !unit.unified)
        return -ENOMEM;
    *ret = unit;
    unit = (struct cgroup_host){.lock_fd = -EBADF};
    return 0;
}

int cgroup_host_init(struct cgroup_host *host, const char *name, char **ret_why)
{
    AUTO_FREE char *delegated = NULL, *kill_file = NULL;
    int r;

    *host = (struct cgroup_host){.lock_fd = -EBADF};
    r = find_mounts(host, name);
    if (r < 0)
        return r;
    if (!host->mount)
        return why_set(ret_why, -ENOTSUP, "this host has no cgroup v2 hierarchy mounted");
    r = find_delegated(host->mount, &delegated);
    if (r < 0)
        return r;
    if (delegated)
        host->unified = strdup(delegated);
    else if (asprintf(&host->unified, "%s/%s", host->mount, name) < 0)
        host->unified = NULL;
    if (!host->unified)
        return -ENOMEM;

    r = folder_make(host->unified);
    if (r >= 0)
        r = lock_folder(host->unified, &host->lock_fd);
    if (r == -EBUSY)
        return why_set(ret_why, -ENOTSUP, "another cagedd is using the same cgroup folder");
    if (r >= 0)
        clear_leftovers(host->unified);
    for (int c = 0; r >= 0 && c < CGROUP_CONTROLLER_COUNT; c++) {
        if (!host->controllers[c].v1)
            continue;
        r = folder_make(host->controllers[c].base);
        if (r >= 0)
            clear_leftovers(host->controllers[c].base);
    }
    if (r >= 0 && delegated)
        r = move_to_leaf(host->unified);
    if (r >= 0)
        r = enable_unified(host, delegated ? host->unified : host->mount);
    if (r < 0)
        return r;
    if (asprintf(&kill_file, "%s/cgroup.kill", host->unified) < 0)
        return -ENOMEM;
    if (access(kill_file, W_OK) < 0)
        return why_set(ret_why, -ENOTSUP, "this kernel has no cgroup.kill (Linux 5.14 brought it)");
    return 0;
}

void cgroup_host_deinit(struct cgroup_host *host)
{
    bool ours = host->lock_fd >= 0;

    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        if (ours && host->controllers[c].v1)
            (void)rmdir(host->controllers[c].base);
        free(host->controllers[c].base);
    }
    if (ours)
        (void)rmdir(host->unified);
    free(host->unified);
    free(host->mount);
    fd_close(host->lock_fd);
    *host = (struct cgroup_host){.lock_fd = -EBADF};
}
