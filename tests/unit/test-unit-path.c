/* common/unit-path: from /proc/PID/cgroup to the unit, its folder and the leaf below it. */
#include "unit-test.h"

#include "unit-path.h"
#include "util.h"

static void assert_unit(const char *path, const char *name, const char *folder, const char *leaf)
{
    struct unit_path unit;
    const char *why;

    assert_int_equal(unit_path_parse(path, &unit, &why), 0);
    assert_string_equal(unit.name, name);
    assert_int_equal(unit.folder_length, strlen(folder));
    assert_memory_equal(path, folder, strlen(folder));
    assert_string_equal(unit.leaf, leaf);
}

static const char *refuse(const char *path)
{
    struct unit_path unit = {.folder_length = 77};
    const char *why = NULL;

    assert_int_equal(unit_path_parse(path, &unit, &why), -EINVAL);
    assert_int_equal(unit.folder_length, 77);
    assert_non_null(why);
    return why;
}

static void test_a_service_below_slices(void **state)
{
    assert_unit("/caged.slice/caged-agent@alpha.service/supervisor", "caged-agent@alpha.service",
                "/caged.slice/caged-agent@alpha.service", "supervisor");
    assert_unit("/a.slice/a-b.slice/x.service", "x.service", "/a.slice/a-b.slice/x.service", "");
    assert_unit("/x.service/", "x.service", "/x.service", "");
    assert_unit("/x.service/a/b.service/c", "x.service", "/x.service", "a/b.service/c");
    assert_unit("/system.slice/foo\\x2dbar@a\\x2fb.service/l", "foo\\x2dbar@a\\x2fb.service",
                "/system.slice/foo\\x2dbar@a\\x2fb.service", "l");
}

/* systemd's escape: a "_" in front is not the name's. */
static void test_escaped_components(void **state)
{
    assert_unit("/caged.slice/_cgroup.service/x", "cgroup.service", "/caged.slice/_cgroup.service",
                "x");
    assert_unit("/__x.service", "_x.service", "/__x.service", "");
    assert_unit("/_memory.slice/x.service", "x.service", "/_memory.slice/x.service", "");
    assert_unit("/x.service/_y", "x.service", "/x.service", "_y"); /* below, names are the unit's */
}

/* The outermost unit that is no slice is the system manager's; what looks like one below it is
 * somebody else's word. */
static void test_the_outermost_unit_counts(void **state)
{
    assert_unit("/user.slice/user-0.slice/user@0.service/app.slice/x.service", "user@0.service",
                "/user.slice/user-0.slice/user@0.service", "app.slice/x.service");
    assert_unit("/machine.slice/systemd-nspawn@m.service/payload/system.slice/x.service",
                "systemd-nspawn@m.service", "/machine.slice/systemd-nspawn@m.service",
                "payload/system.slice/x.service");
}

static void test_what_is_no_service(void **state)
{
    static const char *const none[] = {
        "",
        "x.service",
        "/",
        "//x.service",
        "/a.slice",
        "/a.slice/",
        "/a.slice//x.service",
        "/folder/x.service",
        "/.service",
        "/_.service",
        "/_",
        "/@.service",
        "/x@.service",
        "/@y.service",
        "/x.servicex",
        "/x.socket",
        "/x y.service",
        "/x\n.service",
        "/x.SERVICE",
        "/init.scopes",
        "/service",
        "/x\xc3\xa4.service",
    };

    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_string_equal(refuse(none[i]), "it is in no service of systemd's");
    assert_non_null(strstr(refuse("/user.slice/user-0.slice/session-1.scope"), "scope"));
    assert_non_null(strstr(refuse("/init.scope"), "scope"));
}

static void test_what_cannot_be_seen(void **state)
{
    static const char *const hidden[] = {
        "/../x.service", "/a.slice/../x.service", "/..",
        "/x.service/..", "/x.service (deleted)",  "/x.service/leaf (deleted)",
    };

    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
        assert_non_null(strstr(refuse(hidden[i]), "seen from here"));
    assert_unit("/x.service/..leaf", "x.service", "/x.service", "..leaf");
}

static void test_length(void **state)
{
    char path[1 + UNIT_NAME_SIZE + 1] = "/";
    char *name = path + 1, *end = path + UNIT_NAME_SIZE; /* one byte less than the size */

    memset(name, 'a', UNIT_NAME_SIZE);
    memcpy(end - strlen(".service"), ".service", sizeof(".service"));
    assert_unit(path, name, path, "");
    memset(name, 'a', UNIT_NAME_SIZE);
    memcpy(end + 1 - strlen(".service"), ".service", sizeof(".service"));
    (void)refuse(path);
}

static void assert_line(const char *text, const char *path)
{
    AUTO_FREE char *copy = strdup(text);

    assert_non_null(copy);
    const char *found = unit_path_from_proc(copy);
    if (path) {
        assert_non_null(found);
        assert_string_equal(found, path);
    } else {
        assert_null(found);
    }
}

static void test_the_line_of_proc(void **state)
{
    assert_line("0::/x.service/leaf\n", "/x.service/leaf");
    assert_line("12:pids:/a\n1:name=systemd:/b\n0::/c\n", "/c");
    assert_line("0::/c", "/c");
    assert_line("1:name=0::/x:/b\n", NULL);
    assert_line("10::/x\n", NULL);
    assert_line("0::\n", NULL);
    assert_line("", NULL);
    assert_line("\n0::/c\n", "/c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_service_below_slices),    cmocka_unit_test(test_escaped_components),
        cmocka_unit_test(test_the_outermost_unit_counts), cmocka_unit_test(test_what_is_no_service),
        cmocka_unit_test(test_what_cannot_be_seen),       cmocka_unit_test(test_length),
        cmocka_unit_test(test_the_line_of_proc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
