/* daemon/server/subordinate-uids: who has a uid of subuid(5), whatever is in the file, and that a
 * change of it is seen. */
#include "unit-test.h"

#include <stdio.h>
#include <sys/stat.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "server/subordinate-uids.h"
#include "util.h"

struct place {
    char folder[64], path[96], other[96];
    struct subordinate_uids uids;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/caged-subuid-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof(place->path), "%s/subuid", place->folder);
    (void)snprintf(place->other, sizeof(place->other), "%s/new", place->folder);
    subordinate_uids_init(&place->uids, place->path);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    subordinate_uids_deinit(&place->uids);
    (void)unlink(place->path);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

/* As useradd(8) does it: a new file in the place of the old one. */
static void write_file(const struct place *place, const char *text)
{
    FILE *file = fopen(place->other, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(place->other, place->path), 0);
}

static int have(struct place *place, uid_t uid)
{
    return subordinate_uids_have(&place->uids, uid);
}

static void test_without_a_file_nobody_has_any(void **state)
{
    assert_int_equal(have(*state, 0), 0);
    assert_int_equal(have(*state, 100000), 0);
}

static void test_the_ends_of_ranges_in_any_order(void **state)
{
    struct place *place = *state;

    write_file(place, "carol:300000:10\n"
                      "alice:100000:65536\n"
                      "1001:165536:1\n" /* touches the one before */
                      "bob:200000:1000\nbob:200500:1000\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(have(place, 99999), 0);
        assert_int_equal(have(place, 100000), 1);
        assert_int_equal(have(place, 165536), 1);
        assert_int_equal(have(place, 165537), 0);
        assert_int_equal(have(place, 199999), 0);
        assert_int_equal(have(place, 200999), 1);
        assert_int_equal(have(place, 201499), 1);
        assert_int_equal(have(place, 201500), 0);
        assert_int_equal(have(place, 300009), 1);
        assert_int_equal(have(place, 300010), 0);
        assert_int_equal(have(place, UINT32_MAX - 1), 0);
    }
}

static void test_lines_that_are_none_give_nothing_and_hide_no_other(void **state)
{
    struct place *place = *state;

    write_file(place, "\n# comment\nalice\nalice:\nalice:x:5\nalice:5\nalice:500:\nalice:600:0\n"
                      "alice:-700:5\nalice:99999999999999999999:5\nalice:800:99999999999999999999\n"
                      "::\nalice: 900:5\n"
                      "bob:1000:2");
    for (uid_t uid = 1; uid < 1000; uid++)
        assert_int_equal(have(place, uid), 0);
    assert_int_equal(have(place, 1000), 1);
    assert_int_equal(have(place, 1001), 1);
    assert_int_equal(have(place, 1002), 0);
}

static void test_a_range_past_all_uids_has_those_that_there_are(void **state)
{
    struct place *place = *state;

    write_file(place, "alice:4294967290:4294967295\n");
    assert_int_equal(have(place, UINT32_MAX - 6), 0);
    assert_int_equal(have(place, UINT32_MAX - 1), 1);
}

static void test_a_change_is_seen(void **state)
{
    struct place *place = *state;

    write_file(place, "alice:100000:10\n");
    assert_int_equal(have(place, 100000), 1);
    write_file(place, "alice:200000:10\n"); /* of the same size */
    assert_int_equal(have(place, 100000), 0);
    assert_int_equal(have(place, 200000), 1);
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(have(place, 200000), 0);
    write_file(place, "alice:200000:10\n");
    assert_int_equal(have(place, 200000), 1);
}

/* Then it is not known who has one: the caller must not take that for nobody. */
static void test_what_cannot_be_read_is_an_error(void **state)
{
    struct place *place = *state;

    write_file(place, "alice:100000:10\n");
    assert_int_equal(truncate(place->path, SUBORDINATE_UIDS_FILE_MAX + 1), 0);
    assert_int_equal(have(place, 100000), -EFBIG);
    assert_int_equal(have(place, 1), -EFBIG);
    assert_int_equal(truncate(place->path, 100), 0); /* zeros at its end */
    assert_int_equal(have(place, 1), -EINVAL);
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(mkfifo(place->path, 0600), 0);
    assert_int_equal(have(place, 1), -EINVAL); /* and nothing waits for who writes */
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(symlink(place->path, place->path), 0);
    assert_int_equal(have(place, 1), -ELOOP);
    write_file(place, "alice:100000:10\n");
    assert_int_equal(have(place, 100000), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_without_a_file_nobody_has_any),
        TEST(test_the_ends_of_ranges_in_any_order),
        TEST(test_lines_that_are_none_give_nothing_and_hide_no_other),
        TEST(test_a_range_past_all_uids_has_those_that_there_are),
        TEST(test_a_change_is_seen),
        TEST(test_what_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
