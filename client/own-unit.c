/* The systemd unit that this process runs in.
 *
 * The daemon asks the kernel which unit its peer is in and whether it was delegated; what is done
 * here is what only the unit itself may do with its cgroup. */
#include "own-unit.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "clock.h"
#include "exit-status.h"
#include "fd-io.h"
#include "text.h"
#include "unit-path.h"

#define PROC_FILE_MAX 65536
#define EVENTS_FILE_MAX 4096
#define LEFTOVER_TIMEOUT_USEC (10 * 1000 * 1000)
#define OWN_LEAF "supervisor"

bool own_unit_is_notified(void)
{
    const char *address = getenv("NOTIFY_SOCKET");

    return address && *address;
}

/* systemd has the v2 hierarchy in one of two places (file-hierarchy(7), systemd's
 * CGROUP_DELEGATION.md). */
static const char *unified_mount(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs fs;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (statfs(places[i], &fs) == 0 && (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
            return places[i];
    return NULL;
}

static int say_no_unit(const char *why)
{
    say("this is not a unit of systemd's: %s", why);
    say_hint("'service' is for caged-agent@.service; in a terminal: cagectl run");
    return STATUS_USAGE;
}

static int write_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? negative_errno() : fd_write_all(fd, text, strlen(text));
}

static int enter_leaf(const char *folder)
{
    char leaf[PATH_MAX];
    int r = -ENAMETOOLONG;

    if (snprintf(leaf, sizeof(leaf), "%s/" OWN_LEAF, folder) < (int)sizeof(leaf))
        r = folder_make(leaf);
    if (r >= 0)
        r = write_file(leaf, "cgroup.procs", "0");
    if (r >= 0)
        return STATUS_OK;
    say("cannot move into a folder of our own in the unit's cgroup %s: %s", folder, strerror(-r));
    say_hint("the unit needs Delegate=yes and must run as root");
    return STATUS_PERMISSION;
}

/* Waits until a cgroup has no process any more: its file says so, and poll(2) tells when it changes
 * (cgroup-v2.rst, "[Un]populated Notification"). */
static int wait_until_empty(const char *folder)
{
    uint64_t end = clock_usec(CLOCK_MONOTONIC) + LEFTOVER_TIMEOUT_USEC, now;
    char path[PATH_MAX], text[EVENTS_FILE_MAX];

    if (snprintf(path, sizeof(path), "%s/cgroup.events", folder) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return negative_errno();
    while ((now = clock_usec(CLOCK_MONOTONIC)) < end) {
        struct pollfd changed = {.fd = fd, .events = POLLPRI};
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        if (n < 0)
            return negative_errno();
        text[n] = 0;
        if (strstr(text, "populated 0"))
            return 0;
        if (poll(&changed, 1, (int)((end - now) / 1000) + 1) < 0 && errno != EINTR)
            return negative_errno();
    }
    return -ETIMEDOUT;
}

static int clear_leftover(const char *folder, const char *agent_id)
{
    char path[PATH_MAX];
    int r = 0;

    if (snprintf(path, sizeof(path), "%s/agent-%s", folder, agent_id) >= (int)sizeof(path))
        r = -ENAMETOOLONG;
    else if (access(path, F_OK) < 0)
        return STATUS_OK;
    if (r >= 0)
        r = write_file(path, "cgroup.kill", "1");
    if (r >= 0)
        r = wait_until_empty(path);
    if (r >= 0 && rmdir(path) < 0 && errno != ENOENT)
        r = negative_errno();
    if (r >= 0 || r == -ENOENT || r == -ENODEV) /* somebody else removed it meanwhile */
        return STATUS_OK;
    say("what an earlier run left in %s cannot be ended: %s", path, strerror(-r));
    return STATUS_CAGE;
}

int own_unit_prepare(const char *agent_id)
{
    AUTO_FREE char *text = NULL;
    const char *mount = unified_mount(), *why;
    char folder[PATH_MAX];
    struct unit_path unit;
    size_t size;
    int status = STATUS_OK;

    if (file_read_all("/proc/self/cgroup", PROC_FILE_MAX, &text, &size) < 0)
        return say_no_unit("/proc/self/cgroup cannot be read");
    const char *path = unit_path_from_proc(text);
    if (!path || !mount)
        return say_no_unit("this host has no cgroup v2");
    if (unit_path_parse(path, &unit, &why) < 0)
        return say_no_unit(why);
    if (snprintf(folder, sizeof(folder), "%s%.*s", mount, (int)unit.folder_length, path) >=
        (int)sizeof(folder))
        return say_no_unit("its cgroup's path is too long");
    if (!*unit.leaf)
        status = enter_leaf(folder);
    return status == STATUS_OK ? clear_leftover(folder, agent_id) : status;
}
