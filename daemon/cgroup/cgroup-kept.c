/* The folder of an owner that stays; the contract stands in the header. */
#include "cgroup/cgroup-kept.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-owner.h"
#include "fd-io.h"

static int path_of(const struct cgroup_host *host, uid_t uid, const char *name, char *buffer,
                   size_t size)
{
    const char *base = host->controllers[CGROUP_MEMORY].base;

    if (!base)
        return -ENOENT;
    int n = snprintf(buffer, size, "%s/owner-%u/%s", base, uid, name);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* With what is left of the folders of agents in it (cgroup-v2.rst, "memory.stat"; v1's sums over
 * all below begin with "total_"). */
bool cgroup_kept_is_needed(const struct cgroup_host *host, uid_t uid)
{
    static const char *const keys[2][3] = {{"anon", "shmem", "swapcached"},
                                           {"total_rss", "total_shmem", "total_swap"}};
    char path[PATH_MAX];
    uint64_t n[3] = {}, swap = 0;

    if (path_of(host, uid, "memory.stat", path, sizeof(path)) < 0)
        return false;
    cgroup_file_read_keys(path, keys[host->controllers[CGROUP_MEMORY].v1], ARRAY_SIZE(n), n);
    if (path_of(host, uid, "memory.swap.current", path, sizeof(path)) >= 0) /* of v2 */
        (void)cgroup_file_read_number(path, &swap);
    return n[0] + n[1] + n[2] + swap > 0;
}

int cgroup_kept_make(const struct cgroup_host *host, uid_t uid)
{
    char path[PATH_MAX];
    int r = path_of(host, uid, "kept", path, sizeof(path));

    return r < 0 ? r : folder_make(path);
}

void cgroup_kept_remove(const struct cgroup_host *host, uid_t uid)
{
    char path[PATH_MAX];

    if (path_of(host, uid, "kept", path, sizeof(path)) >= 0)
        (void)rmdir(path);
    cgroup_owner_leave(host, uid);
}
