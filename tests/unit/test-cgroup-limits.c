/* What a card's limits are in the files of cgroup v1 and v2: a folder of plain files stands for a
 * cgroup, so that both versions' tables are tried on every host. */
#include "unit-test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cgroup/cgroup.h"
#include "fd-io.h"

static const char *const names[] = {
    "memory.max",
    "memory.high",
    "memory.swap.max",
    "memory.oom.group",
    "cpu.weight",
    "cpu.max",
    "pids.max",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.kmem.tcp.limit_in_bytes",
    "cpu.shares",
    "cpu.cfs_period_us",
    "cpu.cfs_quota_us",
};

static char folder[] = "/tmp/caged-cgroup-XXXXXX";

static int path_of(const char *name, char *buffer, size_t size)
{
    return snprintf(buffer, size, "%s/%s", folder, name);
}

static int make(void **state)
{
    char path[256];

    if (!mkdtemp(folder))
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)path_of(names[i], path, sizeof(path));
        fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    return 0;
}

static int empty(void **state)
{
    char path[256];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)path_of(names[i], path, sizeof(path));
        if (truncate(path, 0) < 0)
            return -1;
    }
    return 0;
}

static int clear(void **state)
{
    char path[256];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        (void)path_of(names[i], path, sizeof(path));
        (void)unlink(path);
    }
    return rmdir(folder);
}

static void assert_file(const char *name, const char *content)
{
    AUTO_FREE char *text = NULL;
    char path[256];
    size_t size;

    (void)path_of(name, path, sizeof(path));
    assert_int_equal(file_read_all(path, 4096, &text, &size), 0);
    assert_string_equal(text, content);
}

static const struct card_limits usual = {
    .memory_mb = 4096, .cpu_shares = 1024, .max_processes = 512};

/* Every controller of the host is of this version and in the folder; io is v2's alone. */
static int limit(int version, const struct card_limits *limits, dev_t workspace,
                 struct cgroup *cgroup, char **ret_why)
{
    struct cgroup_host host = {.mount = folder, .unified = folder, .lock_fd = -EBADF};

    *cgroup = CGROUP_INIT;
    cgroup->unified = folder;
    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        host.controllers[c].v1 = version == 1 && c != CGROUP_IO;
        host.controllers[c].base = version == 1 && c == CGROUP_IO ? NULL : folder;
    }
    return cgroup_limit(&host, cgroup, limits, workspace, ret_why);
}

static void accept(int version, const struct card_limits *limits, struct cgroup *cgroup)
{
    AUTO_FREE char *why = NULL;

    int r = limit(version, limits, 0, cgroup, &why);
    assert_string_equal(why ? why : "no fault", "no fault");
    assert_int_equal(r, 0);
}

static void refuse(int version, const struct card_limits *limits, const char *fault)
{
    struct cgroup cgroup;
    AUTO_FREE char *why = NULL;

    assert_int_equal(limit(version, limits, makedev(0, 45), &cgroup, &why), -ENOTSUP);
    assert_non_null(why);
    if (!strstr(why, fault))
        assert_string_equal(why, fault);
    cgroup_deinit(&cgroup);
}

static void version_2(void **state)
{
    struct card_limits limits = usual;
    struct cgroup cgroup;

    limits.swap_mb = 3;
    limits.memory_high_mb = 1024;
    accept(2, &limits, &cgroup);
    assert_file("memory.max", "4294967296");
    assert_file("memory.high", "1073741824");
    assert_file("memory.swap.max", "3145728");
    assert_file("memory.oom.group", "1");
    assert_file("cpu.weight", "100");
    assert_file("cpu.max", "");
    assert_file("pids.max", "513");
    assert_file("memory.limit_in_bytes", "");
    assert_int_equal(cgroup.n_applied, 6);
    assert_false(cgroup.slowed);
    cgroup_deinit(&cgroup);
}

static void version_1(void **state)
{
    struct card_limits limits = usual;
    struct cgroup cgroup;

    limits.swap_mb = 1024;
    accept(1, &limits, &cgroup);
    assert_file("memory.limit_in_bytes", "4294967296");
    assert_file("memory.memsw.limit_in_bytes", "5368709120");
    assert_file("memory.kmem.tcp.limit_in_bytes", "4294967296");
    assert_file("cpu.shares", "1024");
    assert_file("pids.max", "513");
    assert_file("memory.max", "");
    cgroup_deinit(&cgroup);
}

static void shares_become_a_weight(void **state)
{
    static const struct {
        uint64_t shares;
        const char *weight;
    } rows[] = {
        {2, "1"},          {10, "1"},         {15, "1"},         {16, "2"},
        {512, "50"},       {1024, "100"},     {1536, "150"},     {4096, "400"},
        {102400, "10000"}, {102401, "10000"}, {262144, "10000"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct card_limits limits = usual;
        struct cgroup cgroup;
        limits.cpu_shares = rows[i].shares;
        (void)empty(NULL);
        accept(2, &limits, &cgroup);
        assert_file("cpu.weight", rows[i].weight);
        cgroup_deinit(&cgroup);
    }
}

/* The files are plain ones: what was written first is still there where the next was shorter. */
static void the_quota_waits_for_the_agent_and_goes_before_it(void **state)
{
    struct card_limits limits = usual;
    struct cgroup cgroup;

    limits.cpu_quota_percent = 150;
    accept(2, &limits, &cgroup);
    assert_file("cpu.max", "max000 100000");
    assert_string_equal(cgroup.applied[cgroup.n_applied - 2].written, "150000 100000");
    assert_int_equal(cgroup_slow(&cgroup), 0);
    assert_file("cpu.max", "150000 100000");
    cgroup_ease(&cgroup);
    assert_file("cpu.max", "max000 100000");
    assert_file("cpu.cfs_quota_us", "-1");
    cgroup_deinit(&cgroup);

    (void)empty(NULL);
    limits.cpu_quota_percent = 1;
    accept(1, &limits, &cgroup);
    assert_file("cpu.cfs_period_us", "100000");
    assert_file("cpu.cfs_quota_us", "-100");
    assert_int_equal(cgroup_slow(&cgroup), 0);
    assert_file("cpu.cfs_quota_us", "1000");
    cgroup_deinit(&cgroup);
}

static void what_cannot_be_had_is_refused(void **state)
{
    struct card_limits high = usual, disk = usual;

    high.memory_high_mb = 64;
    refuse(1, &high,
           "memory_high_mb cannot be enforced: the memory controller of this host is on "
           "cgroup version 1, which has no such limit");
    disk.io_write_bps = 1048576;
    refuse(1, &disk, "io_write_bps cannot be enforced: this host gives cagedd no io controller");
    refuse(2, &disk,
           "io_write_bps cannot be enforced: the workspace's file system has no disk "
           "that the kernel could name: device 0:45 is an anonymous one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(version_2, empty),
        cmocka_unit_test_setup(version_1, empty),
        cmocka_unit_test_setup(shares_become_a_weight, empty),
        cmocka_unit_test_setup(the_quota_waits_for_the_agent_and_goes_before_it, empty),
        cmocka_unit_test_setup(what_cannot_be_had_is_refused, empty),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
