/* daemon/init/spec.{c,h}: a good specification, and every way in which one is not. */
#include "unit-test.h"

#include "../../daemon/init/spec.h"
#include "caged-limits.h"
#include "util.h"

#define NUMBERS_FROM INIT_SPEC_VERSION_NUMBER
#define NUMBERS_TO INIT_SPEC_PROTECT_GIT

/* One good value of every number, indexed by type. */
static const uint64_t good_numbers[NUMBERS_TO + 1] = {
    [INIT_SPEC_VERSION_NUMBER] = INIT_SPEC_VERSION,
    [INIT_SPEC_UID_BASE] = 65536 * 3,
    [INIT_SPEC_OWNER_UID] = 1000,
    [INIT_SPEC_OWNER_GID] = 1001,
    [INIT_SPEC_FOLDER_UID] = 0,
    [INIT_SPEC_FOLDER_GID] = 1003,
    [INIT_SPEC_MAX_OPEN_FILES] = 1024,
    [INIT_SPEC_TMPFS_BYTES] = 1 << 20,
    [INIT_SPEC_TERMINAL] = 1,
    [INIT_SPEC_TERMINAL_ROWS] = 24,
    [INIT_SPEC_TERMINAL_COLUMNS] = 80,
    [INIT_SPEC_NAME_SERVER] = 0x64400001,
    [INIT_SPEC_PROTECT_GIT] = 1,
};

/* All that must be there but the type `without` (0: all of it). */
static void put_good(struct records_writer *w, uint16_t without)
{
    for (uint16_t type = NUMBERS_FROM; type <= NUMBERS_TO; type++)
        if (type != INIT_SPEC_AGENT_ID && type != without)
            (void)records_put_u64(w, type, good_numbers[type]);
    if (without != INIT_SPEC_AGENT_ID)
        (void)records_put_string(w, INIT_SPEC_AGENT_ID, "agent-7");
    if (without != INIT_SPEC_ARGUMENT)
        (void)records_put_string(w, INIT_SPEC_ARGUMENT, "true");
    if (without != INIT_SPEC_WORKSPACE)
        (void)records_put_string(w, INIT_SPEC_WORKSPACE, "/home/alice/project");
}

static int parse(struct records_writer *w, struct init_spec *ret, const char **why)
{
    assert_int_equal(w->error, 0);
    *why = NULL;
    return init_spec_parse(w->data, w->size, ret, why);
}

/* Parses and frees: refused with a sentence. */
static void assert_refused(struct records_writer *w)
{
    struct init_spec spec;
    const char *why;

    assert_int_equal(parse(w, &spec, &why), -EBADMSG);
    assert_non_null(why);
    records_writer_deinit(w);
}

static void good_one(void **state)
{
    struct records_writer w = {};
    struct init_spec spec;
    const char *why;
    char *strings[8];

    put_good(&w, 0);
    (void)records_put_string(&w, INIT_SPEC_ARGUMENT, "");
    (void)records_put_string(&w, INIT_SPEC_ARGUMENT, "-x");
    (void)records_put_string(&w, INIT_SPEC_ENVIRONMENT, "A=");
    assert_int_equal(parse(&w, &spec, &why), 0);

    assert_string_equal(spec.agent_id, "agent-7");
    assert_string_equal(spec.command, "true");
    assert_string_equal(spec.workspace, "/home/alice/project");
    assert_true(spec.uid_base == 65536 * 3);
    assert_true(spec.owner_uid == 1000 && spec.owner_gid == 1001);
    assert_true(spec.folder_uid == 0 && spec.folder_gid == 1003);
    assert_true(spec.max_open_files == 1024 && spec.tmpfs_bytes == 1 << 20 && spec.terminal == 1);
    init_spec_strings(&spec, INIT_SPEC_ARGUMENT, strings);
    assert_string_equal(strings[0], "true");
    assert_string_equal(strings[1], "");
    assert_string_equal(strings[2], "-x");
    assert_null(strings[3]);
    init_spec_strings(&spec, INIT_SPEC_ENVIRONMENT, strings);
    assert_string_equal(strings[0], "A=");
    assert_null(strings[1]);
    records_writer_deinit(&w);
}

static void each_missing_is_refused(void **state)
{
    for (uint16_t type = NUMBERS_FROM; type <= INIT_SPEC_ARGUMENT; type++) {
        struct records_writer w = {};
        put_good(&w, type);
        assert_refused(&w);
    }
}

static void the_workspace_is_one_absolute_path(void **state)
{
    static const char *const bad[] = {"", "/", "a", "a/b", "/a/"};
    struct records_writer w = {};

    put_good(&w, INIT_SPEC_WORKSPACE);
    assert_refused(&w);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        w = (struct records_writer){};
        put_good(&w, INIT_SPEC_WORKSPACE);
        (void)records_put_string(&w, INIT_SPEC_WORKSPACE, bad[i]);
        assert_refused(&w);
    }
    w = (struct records_writer){};
    put_good(&w, 0);
    (void)records_put_string(&w, INIT_SPEC_WORKSPACE, "/home/alice/project");
    assert_refused(&w);
}

static void each_doubled_is_refused(void **state)
{
    for (uint16_t type = NUMBERS_FROM; type <= NUMBERS_TO; type++) {
        struct records_writer w = {};
        put_good(&w, 0);
        if (type == INIT_SPEC_AGENT_ID)
            (void)records_put_string(&w, type, "agent-7");
        else
            (void)records_put_u64(&w, type, good_numbers[type]);
        assert_refused(&w);
    }
}

static void out_of_range_is_refused(void **state)
{
    static const struct {
        uint16_t type;
        uint64_t value;
    } bad[] = {
        {INIT_SPEC_VERSION_NUMBER, INIT_SPEC_VERSION + 1},
        {INIT_SPEC_VERSION_NUMBER, 0},
        {INIT_SPEC_UID_BASE, 0},
        {INIT_SPEC_UID_BASE, 65536 * 3 + 1},
        {INIT_SPEC_UID_BASE, 65535},
        {INIT_SPEC_UID_BASE, UINT64_C(0xffff0000)},  /* its last ids would be no ids */
        {INIT_SPEC_UID_BASE, UINT64_C(0x100000000)}, /* 0 when cut to 32 bits */
        {INIT_SPEC_OWNER_UID, 0},
        {INIT_SPEC_OWNER_UID, UINT32_MAX},
        {INIT_SPEC_OWNER_UID, UINT64_C(0x100000000)},
        {INIT_SPEC_OWNER_GID, 0},
        {INIT_SPEC_OWNER_GID, UINT32_MAX},
        {INIT_SPEC_FOLDER_UID, UINT32_MAX},
        {INIT_SPEC_FOLDER_GID, UINT32_MAX},
        {INIT_SPEC_MAX_OPEN_FILES, CARD_OPEN_FILES_MIN - 1},
        {INIT_SPEC_MAX_OPEN_FILES, CARD_OPEN_FILES_MAX + 1},
        {INIT_SPEC_TMPFS_BYTES, 0},
        {INIT_SPEC_TMPFS_BYTES, UINT64_MAX},
        {INIT_SPEC_TERMINAL, 2},
        {INIT_SPEC_TERMINAL_ROWS, 65536},
        {INIT_SPEC_TERMINAL_COLUMNS, 65536},
        {INIT_SPEC_NAME_SERVER, UINT64_C(0x100000000)},
        {INIT_SPEC_PROTECT_GIT, 2},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct records_writer w = {};
        put_good(&w, bad[i].type);
        (void)records_put_u64(&w, bad[i].type, bad[i].value);
        assert_refused(&w);
    }
}

/* The edges of the uid bases are good. */
static void range_edges_are_taken(void **state)
{
    static const uint64_t bases[] = {65536, UINT64_C(0xfffe0000)};

    for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
        struct records_writer w = {};
        struct init_spec spec;
        const char *why;
        put_good(&w, INIT_SPEC_UID_BASE);
        (void)records_put_u64(&w, INIT_SPEC_UID_BASE, bases[i]);
        assert_int_equal(parse(&w, &spec, &why), 0);
        records_writer_deinit(&w);
    }
}

static void bad_values_are_refused(void **state)
{
    static const struct {
        uint16_t type;
        const char *value;
        size_t size;
    } bad[] = {
        {INIT_SPEC_VERSION_NUMBER, "1", 2}, /* a text for a number */
        {INIT_SPEC_AGENT_ID, "", 1},
        {INIT_SPEC_AGENT_ID, "A", 2},
        {INIT_SPEC_AGENT_ID, "a/b", 4},
        {INIT_SPEC_AGENT_ID, "no end", 6},
        {INIT_SPEC_AGENT_ID, "a\0b", 4},
        {INIT_SPEC_ARGUMENT, "", 1},
        {INIT_SPEC_ARGUMENT, "no end", 6},
        {INIT_SPEC_ENVIRONMENT, "=x", 3},
        {INIT_SPEC_ENVIRONMENT, "x", 2},
        {INIT_SPEC_ENVIRONMENT, "A=\0", 4},
        {INIT_SPEC_FILE, "/etc/x", 6}, /* no NUL after the path */
        {INIT_SPEC_FILE, "", 0},
        {INIT_SPEC_FILE, "etc/x", 6},
        {INIT_SPEC_FILE, "/etc/", 6},
        {INIT_SPEC_FILE, "/etc", 5},
        {INIT_SPEC_FILE, "/etcetera/x", 12},
        {INIT_SPEC_FILE, "/usr/x", 7},
        {INIT_SPEC_FILE, "/etc/../usr/x", 14},
        {INIT_SPEC_FILE, "/etc/x/..", 10},
        {INIT_SPEC_FILE, "/etc/./x", 9},
        {INIT_SPEC_FILE, "/etc//x", 8},
        {INIT_SPEC_FILE, "/etc/x\ny", 9},
        {INIT_SPEC_FILE, "/etc/x/", 8},
        {INIT_SPEC_AGENT_FILE, "/home/agentx/x", 15},
        {INIT_SPEC_AGENT_FILE, "/home/other/x", 14},
        {999, "", 1},
        {0, "", 1},
        {64 + INIT_SPEC_TERMINAL, "\0\0\0\0\0\0\0", 8},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct records_writer w = {};
        put_good(&w, bad[i].type);
        (void)records_put(&w, bad[i].type, bad[i].value, bad[i].size);
        assert_refused(&w);
    }
}

static void too_many_are_refused(void **state)
{
    static const struct {
        uint16_t type;
        const char *value;
        int max; /* beside what put_good puts */
    } many[] = {
        {INIT_SPEC_ARGUMENT, "x", CARD_COMMAND_MAX - 1},
        {INIT_SPEC_ENVIRONMENT, "A=x", SPEC_ENVIRONMENT_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
        struct records_writer w = {};
        struct init_spec spec;
        const char *why;
        put_good(&w, 0);
        for (int n = 0; n < many[i].max; n++)
            (void)records_put_string(&w, many[i].type, many[i].value);
        assert_int_equal(parse(&w, &spec, &why), 0);
        (void)records_put_string(&w, many[i].type, many[i].value);
        assert_refused(&w);
    }
}

static void put_mount(struct records_writer *w, const struct init_spec_mount_ids *ids,
                      const char *target)
{
    uint8_t value[sizeof(*ids) + 512];
    size_t size = strlen(target) + 1;

    memcpy(value, ids, sizeof(*ids));
    memcpy(value + sizeof(*ids), target, size);
    (void)records_put(w, INIT_SPEC_MOUNT, value, sizeof(*ids) + size);
}

static const struct init_spec_mount_ids good_ids = {1, 1000, 1001, 0, UINT32_MAX - 1};

static void mounts_are_taken(void **state)
{
    static const char *const targets[CARD_MOUNTS_MAX] = {
        "/data", "/mnt/a", "/mnt/ab", "/mnt/b/c", "/opt", "/srv/...", "/home/agent/x", "/mnt/c"};
    struct records_writer w = {};
    struct init_spec spec;
    const char *why;

    put_good(&w, 0);
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        put_mount(&w, &good_ids, targets[i]);
    assert_int_equal(parse(&w, &spec, &why), 0);
    assert_int_equal(spec.n_mounts, CARD_MOUNTS_MAX);
    assert_string_equal(spec.mounts[3].target, "/mnt/b/c");
    assert_memory_equal(&spec.mounts[3].ids, &good_ids, sizeof(good_ids));
    put_mount(&w, &good_ids, "/mnt/d");
    assert_refused(&w); /* one too many */
}

static void bad_mounts_are_refused(void **state)
{
    static const struct {
        struct init_spec_mount_ids ids;
        const char *target;
    } bad[] = {
        {{2, 1, 1, 1, 1}, "/mnt"},
        {{0, 0, 1, 1, 1}, "/mnt"},
        {{0, 1, 0, 1, 1}, "/mnt"},
        {{0, UINT32_MAX, 1, 1, 1}, "/mnt"},
        {{0, 1, UINT32_MAX, 1, 1}, "/mnt"},
        {{0, 1, 1, UINT32_MAX, 1}, "/mnt"},
        {{0, 1, 1, 1, UINT32_MAX}, "/mnt"},
        {{0, 1, 1, 1, 1}, ""},
        {{0, 1, 1, 1, 1}, "mnt"},
        {{0, 1, 1, 1, 1}, "/"},
        {{0, 1, 1, 1, 1}, "/usr"},
        {{0, 1, 1, 1, 1}, "/workspace/x"},
        {{0, 1, 1, 1, 1}, "/home/agent"},
        {{0, 1, 1, 1, 1}, "/mnt/../etc"},
        {{0, 1, 1, 1, 1}, "/mnt/"},
        {{0, 1, 1, 1, 1}, "/data/a"},   /* there already: see below */
        {{0, 1, 1, 1, 1}, "/data/a/b"}, /* inside */
        {{0, 1, 1, 1, 1}, "/data"},     /* around */
    };
    struct records_writer w = {};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        put_good(&w, 0);
        put_mount(&w, &good_ids, "/data/a");
        put_mount(&w, &bad[i].ids, bad[i].target);
        assert_refused(&w);
    }
    put_good(&w, 0);
    (void)records_put(&w, INIT_SPEC_MOUNT, &good_ids, sizeof(good_ids) - 1);
    assert_refused(&w);
    put_good(&w, 0);
    (void)records_put(&w, INIT_SPEC_MOUNT, &good_ids, sizeof(good_ids)); /* no target at all */
    assert_refused(&w);
}

static void every_truncation_is_refused(void **state)
{
    struct records_writer w = {};
    struct init_spec spec;
    const char *why;

    put_good(&w, 0);
    for (size_t size = 0; size < w.size; size++)
        assert_int_equal(init_spec_parse(w.data, size, &spec, &why), -EBADMSG);
    records_writer_deinit(&w);
}

static void files_come_in_order(void **state)
{
    struct records_writer w = {};
    struct init_spec spec;
    struct init_spec_file file;
    const char *why;

    (void)records_put(&w, INIT_SPEC_FILE, "/etc/a/b\0text", 13);
    put_good(&w, 0);
    (void)records_put(&w, INIT_SPEC_AGENT_FILE, "/home/agent/.x", 15);
    assert_int_equal(parse(&w, &spec, &why), 0);

    struct records_reader reader = init_spec_reader(&spec);
    assert_true(init_spec_next_file(&reader, &file));
    assert_string_equal(file.path, "/etc/a/b");
    assert_int_equal(file.size, 4);
    assert_memory_equal(file.content, "text", 4);
    assert_false(file.agents);
    assert_true(init_spec_next_file(&reader, &file));
    assert_string_equal(file.path, "/home/agent/.x");
    assert_int_equal(file.size, 0);
    assert_true(file.agents);
    assert_false(init_spec_next_file(&reader, &file));
    records_writer_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_one),
        cmocka_unit_test(each_missing_is_refused),
        cmocka_unit_test(each_doubled_is_refused),
        cmocka_unit_test(the_workspace_is_one_absolute_path),
        cmocka_unit_test(out_of_range_is_refused),
        cmocka_unit_test(range_edges_are_taken),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(mounts_are_taken),
        cmocka_unit_test(bad_mounts_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(files_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
