/* daemon/agent/planted-list: what caged-scan says, which may have been taken over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/planted-list.h"
#include "caged-limits.h"
#include "records.h"
#include "scan-proto.h"
#include "util.h"

static void put_file(struct records_writer *w, uint16_t type, uint8_t kind, uint8_t change,
                     const char *path, size_t length)
{
    uint8_t value[2 + SCAN_PATH_MAX + 1] = {kind, change};

    memcpy(value + 2, path, length);
    assert_int_equal(records_put(w, type, value, 2 + length), 0);
}

static struct planted_list parse(struct records_writer *w)
{
    struct planted_list list = {0};

    planted_list_parse(w->data, w->size, &list);
    records_writer_deinit(w);
    return list;
}

static void a_whole_list_is_taken(void **state)
{
    struct records_writer w = {0};
    char text[256];

    put_file(&w, SCAN_FOUND, PLANTED_GIT_HOOK, PLANTED_CREATED, "a/b", 3);
    put_file(&w, SCAN_CUT, PLANTED_VSCODE, PLANTED_CHANGED, "c\n\xff", 3);
    (void)records_put_u64(&w, SCAN_MORE, 5);
    (void)records_put_u64(&w, SCAN_END, SCAN_COMPLETE);
    struct planted_list list = parse(&w);
    assert_null(list.incomplete);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.more, 5);
    assert_int_equal(list.files[0].kind, PLANTED_GIT_HOOK);
    assert_string_equal(list.files[0].path, "a/b");
    assert_false(list.files[0].cut);
    assert_true(list.files[1].cut);
    assert_string_equal(list.files[1].path, "c\n\xff");
    planted_list_format(&list, text, sizeof(text));
    assert_string_equal(text, "git-hook a/b, vscode c\n\xff... and 5 more");
    planted_list_deinit(&list);
    assert_int_equal(list.count, 0);
}

static void each_result_is_told(void **state)
{
    for (uint64_t result = 0; result < SCAN_RESULT_COUNT; result++) {
        struct records_writer w = {0};
        (void)records_put_u64(&w, SCAN_END, result);
        struct planted_list list = parse(&w);
        assert_int_equal(list.incomplete == NULL, result == SCAN_COMPLETE);
        planted_list_deinit(&list);
    }
}

/* What came before stays. */
static void assert_broken(struct records_writer *w, size_t count)
{
    struct planted_list list = parse(w);

    assert_non_null(list.incomplete);
    assert_int_equal(list.count, count);
    planted_list_deinit(&list);
}

static void what_is_not_whole_is_incomplete(void **state)
{
    struct records_writer w = {0};
    char path[SCAN_PATH_MAX + 1];

    memset(path, 'p', sizeof(path));
    assert_broken(&w, 0); /* nothing at all */

    put_file(&w, SCAN_FOUND, 0, 0, "a", 1);
    assert_broken(&w, 1); /* no end */

    put_file(&w, SCAN_FOUND, 0, 0, "a", 1);
    w.size--;
    assert_broken(&w, 0);

    (void)records_put_u64(&w, SCAN_END, SCAN_RESULT_COUNT);
    assert_broken(&w, 0);

    (void)records_put_u64(&w, SCAN_END, SCAN_COMPLETE);
    put_file(&w, SCAN_FOUND, 0, 0, "a", 1);
    assert_broken(&w, 0); /* something after the end */

    const struct {
        uint16_t type;
        uint8_t kind, change;
        const char *path;
        size_t length;
    } bad[] = {
        {99, 0, 0, "a", 1},
        {SCAN_FOUND, PLANTED_KIND_COUNT, 0, "a", 1},
        {SCAN_FOUND, 255, 0, "a", 1},
        {SCAN_FOUND, 0, PLANTED_CHANGE_COUNT, "a", 1},
        {SCAN_FOUND, 0, 0, "", 0},
        {SCAN_FOUND, 0, 0, "a\0b", 3},
        {SCAN_FOUND, 0, 0, path, SCAN_PATH_MAX + 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        put_file(&w, SCAN_FOUND, 0, 0, path, SCAN_PATH_MAX);
        put_file(&w, bad[i].type, bad[i].kind, bad[i].change, bad[i].path, bad[i].length);
        (void)records_put_u64(&w, SCAN_END, SCAN_COMPLETE);
        assert_broken(&w, 1);
    }
}

static void numbers_are_held_in_bounds(void **state)
{
    const uint64_t bad[] = {UINT64_MAX, (uint64_t)INT64_MAX + 1};
    struct records_writer w = {0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        (void)records_put_u64(&w, SCAN_MORE, bad[i]);
        (void)records_put_u64(&w, SCAN_END, SCAN_COMPLETE);
        struct planted_list list = parse(&w);
        assert_non_null(list.incomplete);
        assert_true(list.more <= INT64_MAX);
        planted_list_deinit(&list);
    }
    (void)records_put_u64(&w, SCAN_MORE, 1);
    (void)records_put_u64(&w, SCAN_MORE, 1);
    assert_broken(&w, 0);
}

static void there_are_no_more_files_than_may_be(void **state)
{
    const size_t most = (size_t)PLANTED_KIND_COUNT * SCAN_KIND_FILES_MAX;
    struct records_writer w = {0};

    for (size_t i = 0; i <= most; i++)
        put_file(&w, SCAN_FOUND, 0, 0, "a", 1);
    (void)records_put_u64(&w, SCAN_END, SCAN_COMPLETE);
    assert_broken(&w, most);
}

static void as_many_are_formatted_as_fit(void **state)
{
    struct records_writer w = {0};
    char path[101], text[400];

    memset(path, 'p', sizeof(path));
    for (size_t i = 0; i < 20; i++)
        put_file(&w, SCAN_FOUND, PLANTED_DIRENV, PLANTED_CREATED, path, 100);
    (void)records_put_u64(&w, SCAN_END, SCAN_COMPLETE);
    struct planted_list list = parse(&w);
    planted_list_format(&list, text, sizeof(text));
    assert_true(strlen(text) < sizeof(text));
    assert_non_null(strstr(text, "p and 17 more"));
    planted_list_format(&list, text, 40);
    assert_string_equal(text, "20 more");
    planted_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_list_is_taken),
        cmocka_unit_test(each_result_is_told),
        cmocka_unit_test(what_is_not_whole_is_incomplete),
        cmocka_unit_test(numbers_are_held_in_bounds),
        cmocka_unit_test(there_are_no_more_files_than_may_be),
        cmocka_unit_test(as_many_are_formatted_as_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
