/* The limits of an owner's folder.
 *
 * To write a limit of memory below what is in use has the kernel reclaim until it fits, for as long
 * as that takes, and then kill (v2, memory.max) or give up (v1, EBUSY): the event loop must not
 * wait for the one, and no running agent is to end because a policy was changed. So such a limit is
 * set to what is in use instead, and lowered from there by steps that are small and kill nothing
 * (memory.reclaim, of Linux 5.19).
 *
 * Of swap there is no key in a policy. v1 has a limit of memory and swap together, which is the
 * total; on v2, where each has a limit of its own, there is as much swap as memory at most, for the
 * agents whose cards ask for some. */
#include "cgroup/cgroup-owner.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysinfo.h>

#include "caged-limits.h"
#include "cgroup/cgroup-file.h"
#include "fd-io.h"
#include "why.h"

#define MIB ((uint64_t)1024 * 1024)
#define SLACK MIB       /* what may come to be used while we look */
#define STEP (32 * MIB) /* reclaimed at once: some ten milliseconds */
#define AGENT_TASKS 3   /* caged-init, the agent, its gate */

static uint64_t host_memory(void)
{
    struct sysinfo info;

    return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit; /* MemTotal */
}

static uint64_t memory_bytes(const struct policy_total *total)
{
    if (total->memory_mb > 0)
        return total->memory_mb * MIB;
    return host_memory() / 100 * total->memory_percent / MIB * MIB;
}

static uint64_t tasks(const struct policy_total *total)
{
    return total->max_processes;
}

/* In this order when it gets less: v1's limit of memory and swap together must never be below that
 * of memory. In the other order when it gets more. */
static const struct total_row {
    enum cgroup_controller controller;
    int version;
    const char *file;
    const char *in_use; /* the file that tells; NULL: a limit below that takes nothing away */
    uint64_t (*value)(const struct policy_total *total);
    const char *limit, *percent_limit; /* what Inspect calls it */
    bool with_swap; /* a kernel built without swap has no such file and needs none */
} rows[] = {
    {CGROUP_MEMORY, 1, "memory.limit_in_bytes", "memory.usage_in_bytes", memory_bytes,
     "total.memory_mb", "total.memory_percent"},
    {CGROUP_MEMORY, 1, "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", memory_bytes,
     "total.memory_mb (with swap)", "total.memory_percent (with swap)", .with_swap = true},
    {CGROUP_MEMORY, 1, "memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.usage_in_bytes",
     memory_bytes, "total.memory_mb (sockets)", "total.memory_percent (sockets)"},
    {CGROUP_MEMORY, 2, "memory.max", "memory.current", memory_bytes, "total.memory_mb",
     "total.memory_percent"},
    {CGROUP_MEMORY, 2, "memory.swap.max", NULL, memory_bytes, "total.memory_mb (swap)",
     "total.memory_percent (swap)", .with_swap = true},
    {CGROUP_PIDS, 1, "pids.max", NULL, tasks, "total.max_processes", NULL},
    {CGROUP_PIDS, 2, "pids.max", NULL, tasks, "total.max_processes", NULL},
};
_Static_assert(ARRAY_SIZE(rows) <= CGROUP_OWNER_LIMITS_MAX, "there is room for all of them");

/* The number that the policy has for it; 0: no limit. */
static uint64_t number_of(const struct policy_total *total, enum cgroup_controller controller)
{
    if (controller == CGROUP_PIDS)
        return total->max_processes;
    return total->memory_mb > 0 ? total->memory_mb : total->memory_percent;
}

static const char *name_of(const struct policy_total *total, const struct total_row *row)
{
    return row->controller == CGROUP_MEMORY && total->memory_mb == 0 ? row->percent_limit
                                                                     : row->limit;
}

/* -- files -- */

static bool is_here(const struct cgroup_host *host, const struct total_row *row)
{
    return host->controllers[row->controller].base &&
           host->controllers[row->controller].v1 == (row->version == 1);
}

static int path_of(const struct cgroup_host *host, const struct total_row *row, uid_t uid,
                   const char *file, char *buffer, size_t size)
{
    int n = snprintf(buffer, size, "%s/owner-%u/%s", host->controllers[row->controller].base, uid,
                     file);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static uint64_t read_or_zero(const struct cgroup_host *host, const struct total_row *row, uid_t uid,
                             const char *file)
{
    char path[PATH_MAX];
    uint64_t number = 0;

    if (path_of(host, row, uid, file, path, sizeof(path)) < 0 ||
        cgroup_file_read_number(path, &number) < 0)
        return 0;
    return number;
}

/* How much of the memory in use are files that the kernel keeps for speed alone and can drop
 * without a write to a disk. (cgroup-v2.rst, "memory.stat"; v1's sums over all below begin with
 * "total_".) */
static uint64_t droppable(const struct cgroup_host *host, const struct total_row *row, uid_t uid)
{
    static const char *const keys[2][5] = {
        {"total_inactive_file", "total_active_file", "total_mapped_file", "total_dirty",
         "total_writeback"},
        {"inactive_file", "active_file", "file_mapped", "file_dirty", "file_writeback"}};
    uint64_t n[5];
    char path[PATH_MAX];

    if (path_of(host, row, uid, "memory.stat", path, sizeof(path)) < 0)
        return 0;
    cgroup_file_read_keys(path, keys[row->version - 1], ARRAY_SIZE(n), n);
    uint64_t kept = n[0] + n[1], needed = n[2] + n[3] + n[4];
    return kept > needed ? kept - needed : 0;
}

/* -- limiting -- */

/* What is to be written for the total now: the total, or what is in use if that is more. */
static uint64_t attainable(const struct cgroup_host *host, const struct total_row *row, uid_t uid,
                           uint64_t wanted)
{
    uint64_t in_use = row->in_use ? read_or_zero(host, row, uid, row->in_use) : 0;

    return in_use > wanted ? in_use + SLACK : wanted;
}

static int write_row(const struct cgroup_host *host, const struct total_row *row, uid_t uid,
                     uint64_t wanted, bool raise, bool *above)
{
    char path[PATH_MAX];
    uint64_t now = 0;
    int r = path_of(host, row, uid, row->file, path, sizeof(path));

    if (r >= 0)
        r = cgroup_file_read_number(path, &now);
    if (r == -ENOENT && row->with_swap && access("/proc/swaps", F_OK) < 0)
        return 0;
    if (r < 0)
        return wanted == CGROUP_NO_LIMIT ? 0 : r;
    if (raise)
        return wanted > now ? cgroup_file_write_number(path, wanted) : 0;
    uint64_t target = attainable(host, row, uid, wanted);
    if (target < now)
        r = cgroup_file_write_number(path, target);
    if (r == -EBUSY && row->in_use) /* of v1: more came to be used meanwhile */
        r = 0;
    *above = *above || MIN_OF(target, now) > wanted;
    return r;
}

static int add_limit(const struct cgroup_host *host, const struct total_row *row,
                     struct cgroup_owner *owner)
{
    struct cgroup_applied *limit = &owner->limits[owner->n_limits];
    char path[PATH_MAX];
    int r = path_of(host, row, owner->uid, row->file, path, sizeof(path));

    if (r < 0 || access(path, F_OK) < 0)
        return r;
    *limit = (struct cgroup_applied){.limit = name_of(&owner->total, row),
                                     .value = number_of(&owner->total, row->controller),
                                     .controller = row->controller,
                                     .file = strdup(path)};
    (void)snprintf(limit->written, sizeof(limit->written), "%" PRIu64, row->value(&owner->total));
    owner->n_limits += limit->file != NULL;
    return limit->file ? 0 : -ENOMEM;
}

static int write_total(const struct cgroup_host *host, struct cgroup_owner *owner, char **ret_why)
{
    for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        bool raise = i < ARRAY_SIZE(rows);
        const struct total_row *row =
            &rows[raise ? ARRAY_SIZE(rows) - 1 - i : i - ARRAY_SIZE(rows)];
        bool limited = number_of(&owner->total, row->controller) > 0;
        if (!is_here(host, row))
            continue;
        int r =
            write_row(host, row, owner->uid, limited ? row->value(&owner->total) : CGROUP_NO_LIMIT,
                      raise, &owner->above);
        if (r < 0)
            return why_set(ret_why, -ENOTSUP, "%s cannot be enforced: %s of owner-%u: %s",
                           name_of(&owner->total, row), row->file, owner->uid, strerror(-r));
        r = raise || !limited ? 0 : add_limit(host, row, owner);
        if (r < 0)
            return r;
    }
    return 0;
}

static int make_folders(const struct cgroup_host *host, uid_t uid)
{
    char path[PATH_MAX];
    int r = 0;

    for (int c = 0; r >= 0 && c < CGROUP_CONTROLLER_COUNT; c++) {
        if (!host->controllers[c].base)
            continue;
        if (snprintf(path, sizeof(path), "%s/owner-%u", host->controllers[c].base, uid) >=
            (int)sizeof(path))
            return -ENAMETOOLONG;
        r = folder_make(path);
    }
    return r;
}

int cgroup_owner_limit(const struct cgroup_host *host, struct cgroup_owner *owner,
                       const struct policy_total *total, char **ret_why)
{
    CLEANUP(cgroup_owner_deinit) struct cgroup_owner made = {.uid = owner->uid, .total = *total};

    if (total->memory_percent > 0 && memory_bytes(total) == 0)
        return why_set(ret_why, -ENOTSUP,
                       "total.memory_percent cannot be enforced: the host's memory is not known");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (number_of(total, rows[i].controller) > 0 && !host->controllers[rows[i].controller].base)
            return why_set(
                ret_why, -ENOTSUP, "%s cannot be enforced: this host gives cagedd no %s controller",
                name_of(total, &rows[i]), cgroup_controller_to_string(rows[i].controller));
    int r = make_folders(host, owner->uid);
    if (r >= 0)
        r = write_total(host, &made, ret_why);
    if (r < 0)
        return r;
    cgroup_owner_deinit(owner);
    *owner = made;
    made = (struct cgroup_owner){};
    return 0;
}

/* -- what is in use -- */

/* v1 gives up where it cannot (EBUSY); on v2 memory.reclaim does, and the limit follows. */
static void lower_row(const struct cgroup_host *host, const struct total_row *row, uid_t uid,
                      uint64_t wanted, uint64_t step)
{
    char path[PATH_MAX];
    uint64_t in_use = read_or_zero(host, row, uid, row->in_use);

    if (row->version == 2 && in_use > wanted && step > 0 &&
        path_of(host, row, uid, "memory.reclaim", path, sizeof(path)) >= 0)
        (void)cgroup_file_write_number(path, MIN_OF(in_use - wanted, step));
    else if (row->version == 1 && in_use > wanted && step > 0 &&
             path_of(host, row, uid, row->file, path, sizeof(path)) >= 0)
        (void)cgroup_file_write_number(path, MAX_OF(wanted, in_use - MIN_OF(in_use, step)));
}

bool cgroup_owner_lower(const struct cgroup_host *host, struct cgroup_owner *owner)
{
    uint64_t before = 0, after = 0;

    owner->above = false;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct total_row *row = &rows[i];
        uint64_t wanted = row->value(&owner->total);
        if (!is_here(host, row) || !row->in_use || number_of(&owner->total, row->controller) == 0)
            continue;
        before += read_or_zero(host, row, owner->uid, row->file);
        lower_row(host, row, owner->uid, wanted, MIN_OF(STEP, droppable(host, row, owner->uid)));
        (void)write_row(host, row, owner->uid, wanted, false, &owner->above);
        after += read_or_zero(host, row, owner->uid, row->file);
    }
    return after < before;
}

/* Memory is looked at closely only where it may be too little: that costs the kernel a walk. */
static bool row_is_full(const struct cgroup_host *host, const struct total_row *row,
                        const struct cgroup_owner *owner)
{
    uint64_t limit = row->value(&owner->total), least = CARD_MEMORY_MB_MIN * MIB, in_use;

    if (row->controller == CGROUP_PIDS)
        return read_or_zero(host, row, owner->uid, "pids.current") + AGENT_TASKS > limit;
    if (!row->in_use)
        return false;
    in_use = read_or_zero(host, row, owner->uid, row->in_use);
    return in_use + least > limit &&
           in_use - MIN_OF(in_use, droppable(host, row, owner->uid)) + least > limit;
}

const char *cgroup_owner_is_full(const struct cgroup_host *host, const struct cgroup_owner *owner,
                                 uint64_t *ret_maximum)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t number = number_of(&owner->total, rows[i].controller);
        if (!is_here(host, &rows[i]) || number == 0 || !row_is_full(host, &rows[i], owner))
            continue;
        *ret_maximum = number;
        return name_of(&owner->total, &rows[i]);
    }
    return NULL;
}

bool cgroup_owner_has_task(const struct cgroup_host *host, const struct cgroup_owner *owner)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].controller == CGROUP_PIDS && is_here(host, &rows[i]) &&
            owner->total.max_processes > 0)
            return read_or_zero(host, &rows[i], owner->uid, "pids.current") <
                   owner->total.max_processes;
    return true;
}

void cgroup_owner_leave(const struct cgroup_host *host, uid_t uid)
{
    char path[PATH_MAX];

    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++)
        if (host->controllers[c].base &&
            snprintf(path, sizeof(path), "%s/owner-%u", host->controllers[c].base, uid) <
                (int)sizeof(path))
            (void)rmdir(path);
    if (snprintf(path, sizeof(path), "%s/owner-%u", host->unified, uid) < (int)sizeof(path))
        (void)rmdir(path);
}

void cgroup_owner_deinit(struct cgroup_owner *owner)
{
    for (size_t i = 0; i < owner->n_limits; i++)
        free(owner->limits[i].file);
    owner->n_limits = 0;
}
