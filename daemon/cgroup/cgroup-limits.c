/* What the limits of a card are in files of the control groups, and putting the slowing ones on and
 * off. Kernel: Documentation/admin-guide/cgroup-v2.rst, "Controllers"; cgroup-v1/memory.rst;
 * scheduler/sched-bwc.rst. */
#include <inttypes.h>
#include <stdio.h>

#include "cgroup/block-device.h"
#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup.h"
#include "fd-io.h"
#include "why.h"

#define IO_MAX_FILE_MAX 65536
#define CPU_PERIOD_USEC 100000 /* the kernel's default */

static uint64_t memory_bytes(const struct card_limits *limits)
{
    return limits->memory_mb * 1024 * 1024;
}

static uint64_t memory_high_bytes(const struct card_limits *limits)
{
    return limits->memory_high_mb * 1024 * 1024;
}

static uint64_t swap_bytes(const struct card_limits *limits)
{
    return limits->swap_mb * 1024 * 1024;
}

static uint64_t memory_and_swap_bytes(const struct card_limits *limits)
{
    return memory_bytes(limits) + swap_bytes(limits);
}

static uint64_t whole_group(const struct card_limits *limits)
{
    return 1;
}

/* The kernel's own scale: a weight of 100 is 1024 shares (sched_weight_from_cgroup in
 * kernel/sched/sched.h), and systemd's (CPUShares= to CPUWeight=); cpu.weight takes 1 to 10000. */
static uint64_t cpu_weight(const struct card_limits *limits)
{
    uint64_t weight = (limits->cpu_shares * 100 + 512) / 1024;
    return MAX_OF((uint64_t)1, MIN_OF(weight, (uint64_t)10000));
}

static uint64_t cpu_period(const struct card_limits *limits)
{
    return CPU_PERIOD_USEC;
}

static uint64_t cpu_quota(const struct card_limits *limits)
{
    return limits->cpu_quota_percent * (CPU_PERIOD_USEC / 100);
}

/* BFQ's weights have the same middle, 100, and end at 1000. */
static uint64_t bfq_weight(const struct card_limits *limits)
{
    return MIN_OF(limits->io_weight, (uint64_t)1000);
}

/* caged-init is a task of the cage that the card does not count. */
static uint64_t tasks(const struct card_limits *limits)
{
    return limits->max_processes + 1;
}

enum {
    OPTIONAL = 1 << 0,  /* 0 in the card: not asked for */
    WITH_SWAP = 1 << 1, /* a kernel built without swap has no such file and needs none */
    ON_DISK = 1 << 2,   /* the number of the workspace's disk stands before it */
    SLOWS = 1 << 3,     /* see cgroup_ease */
};

/* What each limit of a card is on either kind of hierarchy. In this order: v1 wants the memory
 * limit before the limit of memory and swap together, which must not be less. */
static const struct limit_row {
    const char *limit;
    size_t card_offset; /* of the card's number in struct card_limits */
    enum cgroup_controller controller;
    int version;
    const char *file;                                    /* NULL: that version has none */
    uint64_t (*value)(const struct card_limits *limits); /* NULL: the card's number itself */
    unsigned flags;
    unsigned weigher;   /* of block-device.h: only for a disk that has it */
    const char *before; /* the number, in what is written */
    const char *after;
    const char *at_first; /* until the agent runs: see cgroup_slow. NULL: the same */
} limit_rows[] = {
#define CARD(field) #field, offsetof(struct card_limits, field)
#define PART_OF(field, what) #field " (" what ")", offsetof(struct card_limits, field)
    {CARD(memory_mb), CGROUP_MEMORY, 1, "memory.limit_in_bytes", memory_bytes},
    {CARD(swap_mb), CGROUP_MEMORY, 1, "memory.memsw.limit_in_bytes", memory_and_swap_bytes,
     WITH_SWAP},
    /* v1 alone keeps socket buffers out of the sum above, unless this is set before anything joins
     * (cgroup-v1/memory.rst, 2.7.1). */
    {PART_OF(memory_mb, "sockets"), CGROUP_MEMORY, 1, "memory.kmem.tcp.limit_in_bytes",
     memory_bytes},
    {CARD(memory_mb), CGROUP_MEMORY, 2, "memory.max", memory_bytes},
    {PART_OF(memory_mb, "whole agent"), CGROUP_MEMORY, 2, "memory.oom.group", whole_group},
    {CARD(swap_mb), CGROUP_MEMORY, 2, "memory.swap.max", swap_bytes, WITH_SWAP},
    {CARD(memory_high_mb), CGROUP_MEMORY, 1, NULL, NULL, OPTIONAL},
    {CARD(memory_high_mb), CGROUP_MEMORY, 2, "memory.high", memory_high_bytes, OPTIONAL},

    {CARD(cpu_shares), CGROUP_CPU, 1, "cpu.shares", NULL},
    {CARD(cpu_shares), CGROUP_CPU, 2, "cpu.weight", cpu_weight},
    {PART_OF(cpu_quota_percent, "period"), CGROUP_CPU, 1, "cpu.cfs_period_us", cpu_period,
     OPTIONAL},
    {CARD(cpu_quota_percent), CGROUP_CPU, 1, "cpu.cfs_quota_us", cpu_quota, OPTIONAL | SLOWS,
     .at_first = "-1"},
    {CARD(cpu_quota_percent), CGROUP_CPU, 2, "cpu.max", cpu_quota, OPTIONAL | SLOWS,
     .after = " " STRINGIFY(CPU_PERIOD_USEC), .at_first = "max"},

    {CARD(max_processes), CGROUP_PIDS, 1, "pids.max", tasks},
    {CARD(max_processes), CGROUP_PIDS, 2, "pids.max", tasks},

    {CARD(io_weight), CGROUP_IO, 2, "io.weight", NULL, OPTIONAL, DISK_IO_COST, "default "},
    {CARD(io_weight), CGROUP_IO, 2, "io.bfq.weight", bfq_weight, OPTIONAL, DISK_BFQ, "default "},
    {CARD(io_read_bps), CGROUP_IO, 2, "io.max", NULL, OPTIONAL | ON_DISK | SLOWS, 0, "rbps="},
    {CARD(io_write_bps), CGROUP_IO, 2, "io.max", NULL, OPTIONAL | ON_DISK | SLOWS, 0, "wbps="},
    {CARD(io_read_iops), CGROUP_IO, 2, "io.max", NULL, OPTIONAL | ON_DISK | SLOWS, 0, "riops="},
    {CARD(io_write_iops), CGROUP_IO, 2, "io.max", NULL, OPTIONAL | ON_DISK | SLOWS, 0, "wiops="},
#undef CARD
#undef PART_OF
};
_Static_assert(ARRAY_SIZE(limit_rows) <= CGROUP_APPLIED_MAX, "there is room for all of them");

static uint64_t number_in_card(const struct limit_row *row, const struct card_limits *limits)
{
    uint64_t number;

    memcpy(&number, (const char *)limits + row->card_offset, sizeof(number));
    return number;
}

static bool is_asked_for(const struct limit_row *row, const struct card_limits *limits)
{
    return !(row->flags & OPTIONAL) || number_in_card(row, limits) > 0;
}

/* The disk, if the card has a limit for it. A weight that nothing on that disk heeds would be a
 * limit left out. */
static int find_disk(const struct cgroup_host *host, const struct card_limits *limits,
                     dev_t workspace, struct disk *ret, char **ret_why)
{
    AUTO_FREE char *why = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(limit_rows); i++) {
        const struct limit_row *row = &limit_rows[i];
        if (row->controller != CGROUP_IO || !is_asked_for(row, limits))
            continue;
        int r = disk_find(workspace, host->mount, ret, &why);
        if (r == -ENOTSUP)
            return why_set(ret_why, r, "%s cannot be enforced: %s", row->limit, why);
        if (r < 0)
            return r;
        if (limits->io_weight > 0 && ret->weighers == 0)
            return why_set(ret_why, -ENOTSUP,
                           "io_weight cannot be enforced: nothing shares the workspace's disk %s "
                           "out by weights: io.cost.qos does not have it enabled and its scheduler "
                           "is not bfq",
                           ret->number);
        return 0;
    }
    return 0;
}

static void format_limit(const struct limit_row *row, const struct card_limits *limits,
                         const struct disk *disk, char *buffer, size_t size)
{
    uint64_t value = row->value ? row->value(limits) : number_in_card(row, limits);
    bool on_disk = row->flags & ON_DISK;

    (void)snprintf(buffer, size, "%s%s%s%" PRIu64 "%s", on_disk ? disk->number : "",
                   on_disk ? " " : "", row->before ? row->before : "", value,
                   row->after ? row->after : "");
}

static int apply_limit(struct cgroup *cgroup, const struct limit_row *row,
                       const struct card_limits *limits, const struct disk *disk, char **ret_why)
{
    const char *folder =
        cgroup->folders[row->controller] ? cgroup->folders[row->controller] : cgroup->unified;
    struct cgroup_applied applied = {
        .limit = row->limit, .value = number_in_card(row, limits), .controller = row->controller};
    AUTO_FREE char *file = NULL;

    if (!row->file)
        return why_set(ret_why, -ENOTSUP,
                       "%s cannot be enforced: the %s controller of this host is on cgroup version "
                       "1, which has no such limit",
                       row->limit, cgroup_controller_to_string(row->controller));
    format_limit(row, limits, disk, applied.written, sizeof(applied.written));
    if (asprintf(&file, "%s/%s", folder, row->file) < 0)
        return -ENOMEM;

    int r = cgroup_file_write(file, applied.written);
    if (r == -ENOENT && (row->flags & WITH_SWAP) && access("/proc/swaps", F_OK) < 0)
        return 0;
    if (r >= 0 && row->at_first) /* so it can be, and will be again */
        r = cgroup_file_write(file, row->at_first);
    if (r < 0)
        return why_set(ret_why, -ENOTSUP, "%s cannot be enforced: %s: %s", row->limit, file,
                       strerror(-r));
    applied.late = row->at_first;
    applied.file = TAKE_PTR(file);
    cgroup->applied[cgroup->n_applied++] = applied;
    cgroup->slowed = cgroup->slowed || row->flags & SLOWS;
    return 0;
}

int cgroup_limit(const struct cgroup_host *host, struct cgroup *cgroup,
                 const struct card_limits *limits, dev_t workspace, char **ret_why)
{
    struct disk disk = {};

    for (size_t i = 0; i < ARRAY_SIZE(limit_rows); i++) {
        const struct limit_row *row = &limit_rows[i];
        if (is_asked_for(row, limits) && !host->controllers[row->controller].base)
            return why_set(
                ret_why, -ENOTSUP, "%s cannot be enforced: %s no %s controller%s", row->limit,
                host->unit ? "the unit was delegated" : "this host gives cagedd",
                cgroup_controller_to_string(row->controller),
                row->controller == CGROUP_IO ? " (there is one on cgroup version 2 only)" : "");
    }
    int r = find_disk(host, limits, workspace, &disk, ret_why);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(limit_rows); i++) {
        const struct limit_row *row = &limit_rows[i];
        if (is_asked_for(row, limits) &&
            (row->version == 1) == host->controllers[row->controller].v1 &&
            (row->weigher == 0 || row->weigher & disk.weighers))
            r = apply_limit(cgroup, row, limits, &disk, ret_why);
    }
    return r;
}

int cgroup_slow(const struct cgroup *cgroup)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < cgroup->n_applied; i++)
        if (cgroup->applied[i].late)
            r = cgroup_file_write(cgroup->applied[i].file, cgroup->applied[i].written);
    return r;
}

/* What fails here leaves an agent that ends as slowly as it ran. */
void cgroup_folder_ease(const char *path)
{
    AUTO_FREE char *file = NULL, *text = NULL;
    size_t size;

    (void)cgroup_file_write_in(path, "cpu.max", "max");
    (void)cgroup_file_write_in(path, "cpu.cfs_quota_us", "-1");
    if (asprintf(&file, "%s/io.max", path) < 0) {
        file = NULL;
        return;
    }
    if (file_read_all(file, IO_MAX_FILE_MAX, &text, &size) < 0)
        return;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) && *line) { /* "254:0 rbps=1048576 wbps=max ..." */
        char all[CGROUP_WRITTEN_MAX];
        if (snprintf(all, sizeof(all), "%.*s rbps=max wbps=max riops=max wiops=max",
                     (int)strcspn(line, " "), line) < (int)sizeof(all))
            (void)cgroup_file_write_in(path, "io.max", all);
    }
}

void cgroup_ease(const struct cgroup *cgroup)
{
    if (!cgroup->slowed)
        return;
    if (cgroup->unified)
        cgroup_folder_ease(cgroup->unified);
    if (cgroup->folders[CGROUP_CPU])
        cgroup_folder_ease(cgroup->folders[CGROUP_CPU]);
}
