/* What an owner's total is in the files of cgroup v1 and v2: a folder of plain files stands for the
 * owner's cgroup, so that both versions' tables are tried on every host. */
#include "unit-test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cgroup/cgroup-owner.h"
#include "fd-io.h"

#define MIB (1024 * 1024)

/* As they are in a folder that was just made; v1 tells -1 as a number near 2^63, whose digits would
 * stay behind a shorter one. */
static const struct {
    const char *name, *content;
} files[] = {
    {"memory.max", "max\n"},
    {"memory.swap.max", "max\n"},
    {"memory.current", "0\n"},
    {"memory.reclaim", ""},
    {"memory.stat", "anon 0\n"},
    {"memory.limit_in_bytes", "-1\n"},
    {"memory.usage_in_bytes", "0\n"},
    {"memory.memsw.limit_in_bytes", "-1\n"},
    {"memory.memsw.usage_in_bytes", "0\n"},
    {"memory.kmem.tcp.limit_in_bytes", "-1\n"},
    {"memory.kmem.tcp.usage_in_bytes", "0\n"},
    {"pids.max", "max\n"},
    {"pids.current", "0\n"},
};

static char folder[] = "/tmp/caged-cgroup-XXXXXX";

static void path_of(const char *name, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%s/owner-7/%s", folder, name);
}

static void set(const char *name, const char *content)
{
    char path[256];

    path_of(name, path, sizeof(path));
    AUTO_FD int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, content, strlen(content)), 0);
}

static void set_mib(const char *name, uint64_t mib)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, mib * MIB);
    set(name, text);
}

/* What was written is shorter than what was there: what follows it is the file's old end. */
static uint64_t number_in(const char *name)
{
    AUTO_FREE char *text = NULL;
    char path[256];
    size_t size;

    path_of(name, path, sizeof(path));
    assert_int_equal(file_read_all(path, 4096, &text, &size), 0);
    return has_prefix(text, "max") ? UINT64_MAX : strtoull(text, NULL, 10);
}

static int fresh(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        set(files[i].name, files[i].content);
    return 0;
}

static int make(void **state)
{
    char path[256];

    if (!mkdtemp(folder))
        return -1;
    path_of("", path, sizeof(path));
    return mkdir(path, 0700);
}

static int clear(void **state)
{
    char path[256];

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        path_of(files[i].name, path, sizeof(path));
        (void)unlink(path);
    }
    path_of("", path, sizeof(path));
    return rmdir(path) < 0 ? -1 : rmdir(folder);
}

/* Every controller of the host is of this version, and its folder is ours. */
static struct cgroup_host host_of(int version)
{
    struct cgroup_host host = {.mount = folder, .unified = folder, .lock_fd = -EBADF};

    for (int c = 0; c < CGROUP_CONTROLLER_COUNT; c++) {
        host.controllers[c].v1 = version == 1;
        host.controllers[c].base = folder;
    }
    return host;
}

static void limit(int version, struct cgroup_owner *owner, struct policy_total total)
{
    struct cgroup_host host = host_of(version);
    AUTO_FREE char *why = NULL;
    int r = cgroup_owner_limit(&host, owner, &total, &why);

    assert_string_equal(why ? why : "no fault", "no fault");
    assert_int_equal(r, 0);
}

static void version_2_has_as_much_swap_as_memory_at_most(void **state)
{
    struct cgroup_owner owner = {.uid = 7};

    limit(2, &owner, (struct policy_total){.memory_mb = 300, .max_processes = 40});
    assert_int_equal(number_in("memory.max"), 300 * MIB);
    assert_int_equal(number_in("memory.swap.max"), 300 * MIB);
    assert_int_equal(number_in("pids.max"), 40);
    assert_int_equal(owner.n_limits, 3);
    assert_string_equal(owner.limits[0].limit, "total.memory_mb");
    assert_int_equal(owner.limits[0].value, 300);
    assert_string_equal(owner.limits[1].limit, "total.memory_mb (swap)");
    assert_string_equal(owner.limits[2].limit, "total.max_processes");
    assert_false(owner.above);
    cgroup_owner_deinit(&owner);
}

static void version_1_counts_swap_in(void **state)
{
    struct cgroup_owner owner = {.uid = 7};

    limit(1, &owner, (struct policy_total){.memory_mb = 300, .max_processes = 40});
    assert_int_equal(number_in("memory.limit_in_bytes"), 300 * MIB);
    assert_int_equal(number_in("memory.memsw.limit_in_bytes"), 300 * MIB);
    assert_int_equal(number_in("memory.kmem.tcp.limit_in_bytes"), 300 * MIB);
    assert_int_equal(number_in("pids.max"), 40);
    assert_int_equal(owner.n_limits, 4);
    cgroup_owner_deinit(&owner);
}

static void a_percentage_is_of_the_hosts_memory(void **state)
{
    struct cgroup_owner owner = {.uid = 7};
    AUTO_FREE char *text = NULL;
    size_t size;

    assert_int_equal(file_read_all("/proc/meminfo", 65536, &text, &size), 0);
    uint64_t kib = strtoull(strstr(text, "MemTotal:") + 9, NULL, 10);
    limit(2, &owner, (struct policy_total){.memory_percent = 50});
    assert_in_range(number_in("memory.max"), (kib / 2 - 2048) * 1024, kib / 2 * 1024);
    assert_int_equal(number_in("memory.max") % MIB, 0);
    assert_string_equal(owner.limits[0].limit, "total.memory_percent");
    assert_int_equal(owner.limits[0].value, 50);
    assert_int_equal(number_in("pids.max"), UINT64_MAX);
    cgroup_owner_deinit(&owner);
}

static void what_a_total_leaves_out_is_not_limited_any_more(void **state)
{
    struct cgroup_owner owner = {.uid = 7};

    limit(2, &owner, (struct policy_total){.memory_mb = 300, .max_processes = 40});
    limit(2, &owner, (struct policy_total){});
    assert_int_equal(number_in("memory.max"), UINT64_MAX);
    assert_int_equal(number_in("memory.swap.max"), UINT64_MAX);
    assert_int_equal(number_in("pids.max"), UINT64_MAX);
    assert_int_equal(owner.n_limits, 0);
}

static void a_total_below_what_is_in_use_comes_by_steps(void **state)
{
    struct cgroup_host host = host_of(2);
    struct cgroup_owner owner = {.uid = 7};

    limit(2, &owner, (struct policy_total){.memory_mb = 900});
    set_mib("memory.current", 500);
    limit(2, &owner, (struct policy_total){.memory_mb = 100});
    assert_int_equal(number_in("memory.max"), 501 * MIB);
    assert_true(owner.above);

    assert_false(cgroup_owner_lower(&host, &owner)); /* nothing can be dropped, nothing is */
    assert_int_equal(number_in("memory.reclaim"), 0);
    assert_int_equal(number_in("memory.max"), 501 * MIB);
    assert_true(owner.above);

    set("memory.stat",
        "anon 1\ninactive_file 419430400\nactive_file 1048576\nfile_dirty 1048576\n");
    set_mib("memory.current", 300);
    assert_true(cgroup_owner_lower(&host, &owner));
    assert_int_equal(number_in("memory.reclaim"), 32 * MIB);
    assert_int_equal(number_in("memory.max"), 301 * MIB);
    assert_true(owner.above);

    set_mib("memory.current", 99);
    assert_true(cgroup_owner_lower(&host, &owner));
    assert_int_equal(number_in("memory.max"), 100 * MIB);
    assert_false(owner.above);
    cgroup_owner_deinit(&owner);
}

static void tasks_over_a_lower_total_just_stay(void **state)
{
    struct cgroup_owner owner = {.uid = 7};

    limit(1, &owner, (struct policy_total){.max_processes = 90});
    set("pids.current", "80\n");
    limit(1, &owner, (struct policy_total){.max_processes = 20});
    assert_int_equal(number_in("pids.max"), 20);
    assert_false(owner.above);
    cgroup_owner_deinit(&owner);
}

static void what_is_full_is_named(void **state)
{
    for (int version = 1; version <= 2; version++) {
        struct cgroup_host host = host_of(version);
        struct cgroup_owner owner = {.uid = 7};
        const char *in_use = version == 1 ? "memory.memsw.usage_in_bytes" : "memory.current";
        uint64_t maximum = 0;

        (void)fresh(NULL);
        limit(version, &owner, (struct policy_total){.memory_mb = 300, .max_processes = 40});
        set("pids.current", "37");
        set_mib(in_use, 284);
        assert_null(cgroup_owner_is_full(&host, &owner, &maximum));
        set("pids.current", "38"); /* one of three would have no place */
        assert_string_equal(cgroup_owner_is_full(&host, &owner, &maximum), "total.max_processes");
        assert_int_equal(maximum, 40);
        set("pids.current", "39");
        assert_true(cgroup_owner_has_task(&host, &owner));
        set("pids.current", "40");
        assert_false(cgroup_owner_has_task(&host, &owner));
        set("pids.current", "0");
        set_mib(in_use, 285);
        assert_memory_equal(cgroup_owner_is_full(&host, &owner, &maximum), "total.memory_mb", 15);
        assert_int_equal(maximum, 300);
        set("memory.stat", version == 1 ? "total_inactive_file 1048576\n"
                                        : "inactive_file 1048576\n"); /* can be dropped */
        assert_null(cgroup_owner_is_full(&host, &owner, &maximum));
        cgroup_owner_deinit(&owner);
    }
}

static void what_no_hierarchy_can_enforce_is_refused(void **state)
{
    struct cgroup_host host = host_of(2);
    struct cgroup_owner owner = {.uid = 7};
    const struct policy_total total = {.memory_mb = 300, .max_processes = 40};
    AUTO_FREE char *why = NULL, *missing = NULL;
    char path[256];

    host.controllers[CGROUP_PIDS].base = NULL;
    assert_int_equal(cgroup_owner_limit(&host, &owner, &total, &why), -ENOTSUP);
    assert_string_equal(why, "total.max_processes cannot be enforced: this host gives cagedd no "
                             "pids controller");
    assert_int_equal(owner.n_limits, 0);

    host = host_of(2);
    path_of("memory.max", path, sizeof(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(cgroup_owner_limit(&host, &owner, &total, &missing), -ENOTSUP);
    assert_string_equal(missing, "total.memory_mb cannot be enforced: memory.max of owner-7: "
                                 "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(version_2_has_as_much_swap_as_memory_at_most, fresh),
        cmocka_unit_test_setup(version_1_counts_swap_in, fresh),
        cmocka_unit_test_setup(a_percentage_is_of_the_hosts_memory, fresh),
        cmocka_unit_test_setup(what_a_total_leaves_out_is_not_limited_any_more, fresh),
        cmocka_unit_test_setup(a_total_below_what_is_in_use_comes_by_steps, fresh),
        cmocka_unit_test_setup(tasks_over_a_lower_total_just_stay, fresh),
        cmocka_unit_test_setup(what_is_full_is_named, fresh),
        cmocka_unit_test_setup(what_no_hierarchy_can_enforce_is_refused, fresh),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
