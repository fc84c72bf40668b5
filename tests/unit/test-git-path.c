/* daemon/init/git-path: where a path in a repository's files leads, and whether that is in the
 * workspace. */
#include "unit-test.h"

#include "../../daemon/init/git-path.h"
#include "util.h"

#define HOST "/home/alice/project"

static void paths_lead_where_the_kernel_would_go(void **state)
{
    static const struct {
        const char *host, *base, *path;
        int result;
        const char *target;
    } cases[] = {
        {HOST, "", ".githooks", 1, ".githooks"},
        {HOST, "", "./.githooks//x/./", 1, ".githooks/x"},
        {HOST, "", "", 1, ""},
        {HOST, "", ".", 1, ""},
        {HOST, "a/.git", "../.gitconfig", 1, "a/.gitconfig"},
        {HOST, "a/.git", "../../b/c", 1, "b/c"},
        {HOST, "a/.git", "../..", 1, ""},
        {HOST, "a/.git", "../../..", 0, NULL},
        {HOST, "a", "../../other/x", 0, NULL},
        {HOST, "a", "../../project/x", 1, "x"},
        {HOST, "", "../project", 1, ""},
        {HOST, "", "../project2/x", 0, NULL},
        {HOST, "", "../../../../../../../x", 0, NULL},
        {HOST, "", HOST "/x", 1, "x"},
        {HOST, "a/b", "//home/./alice/project//x/", 1, "x"},
        {HOST, "a", HOST, 1, ""},
        {HOST, "a", HOST "2/x", 0, NULL},
        {HOST, "a", "/home/alice", 0, NULL},
        {HOST, "a", "/usr/share/git-core", 0, NULL},
        {HOST, "a", "/../home/alice/project/x", 1, "x"},
        {HOST, "a", "/", 0, NULL},
        {HOST, "", "x/../y", -EINVAL, NULL},
        {HOST, "a", "../x/..", -EINVAL, NULL},
        {HOST, "a", HOST "/x/../y", -EINVAL, NULL},
        {HOST, "a", "/home/../home/alice/project/x", -EINVAL, NULL},
        {HOST, "", "..x/...", 1, "..x/..."},
        {"", "a/.git", "../x", 1, "a/x"},
        {"", "a", "..", 1, ""},
        {"", "", "..", 0, NULL},
        {"", "a", "../..", 0, NULL},
        {"", "a", "../../a/x", 0, NULL},
        {"", "a", "/a/x", 0, NULL},
        {"", "", "x", 1, "x"},
    };
    char target[PROTECT_PATH_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int r =
            git_path_resolve(cases[i].host, cases[i].base, cases[i].path, target, sizeof(target));
        if (r != cases[i].result || (r > 0 && !streq(target, cases[i].target)))
            fail_msg("%zu: %s from %s: %d %s", i, cases[i].path, cases[i].base, r, target);
    }
}

static void what_is_too_long_is_said(void **state)
{
    char path[8192], target[8];

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(git_path_resolve(HOST, "", path, target, sizeof(target)), -ENAMETOOLONG);
    assert_int_equal(git_path_resolve(HOST, path, "x", target, sizeof(target)), -ENAMETOOLONG);
    assert_int_equal(git_path_resolve(HOST, "", "12345678", target, sizeof(target)), -ENAMETOOLONG);
    assert_int_equal(git_path_resolve(HOST, "", "1234567", target, sizeof(target)), 1);
}

static void what_lies_in_a_folder(void **state)
{
    assert_true(git_path_is_in("a/b", "a"));
    assert_true(git_path_is_in("a", "a"));
    assert_true(git_path_is_in("a", ""));
    assert_true(git_path_is_in("", ""));
    assert_false(git_path_is_in("ab", "a"));
    assert_false(git_path_is_in("a", "a/b"));
    assert_false(git_path_is_in("", "a"));
}

static void a_path_is_split_at_its_last_name(void **state)
{
    char parent[PROTECT_PATH_MAX];

    assert_string_equal(git_path_split("a/b/c", parent), "c");
    assert_string_equal(parent, "a/b");
    assert_string_equal(git_path_split("a", parent), "a");
    assert_string_equal(parent, "");
    assert_string_equal(git_path_split("", parent), "");
    assert_string_equal(parent, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_lead_where_the_kernel_would_go),
        cmocka_unit_test(what_is_too_long_is_said),
        cmocka_unit_test(what_lies_in_a_folder),
        cmocka_unit_test(a_path_is_split_at_its_last_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
