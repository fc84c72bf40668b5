/* common/records.{c,h}: what is written is read back; what is not whole records is refused. */
#include "unit-test.h"

#include "records.h"
#include "util.h"

static void put_and_next_round_trip(void **state)
{
    struct records_writer w = {};
    struct record record;
    uint64_t number;

    assert_int_equal(records_put_string(&w, 1, "text"), 0);
    assert_int_equal(records_put_u64(&w, 2, UINT64_MAX), 0);
    assert_int_equal(records_put(&w, 3, NULL, 0), 0);

    struct records_reader r = {.data = w.data, .size = w.size};
    assert_int_equal(records_next(&r, &record), 1);
    assert_int_equal(record.type, 1);
    assert_string_equal(record_string(&record), "text");
    assert_int_equal(records_next(&r, &record), 1);
    assert_int_equal(record_u64(&record, &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(records_next(&r, &record), 1);
    assert_int_equal(record.type, 3);
    assert_int_equal(record.size, 0);
    assert_int_equal(records_next(&r, &record), 0);
    records_writer_deinit(&w);
}

static void put_grows(void **state)
{
    static uint8_t large[100000];
    struct records_writer w = {};
    struct record record;
    int n = 0;

    memset(large, 7, sizeof(large));
    for (int i = 0; i < 20; i++)
        assert_int_equal(records_put(&w, 9, large, (size_t)i * 5000), 0);
    struct records_reader r = {.data = w.data, .size = w.size};
    while (records_next(&r, &record) == 1) {
        assert_int_equal(record.size, n * 5000);
        assert_memory_equal(record.value, large, record.size);
        n++;
    }
    assert_int_equal(n, 20);
    records_writer_deinit(&w);
}

static void put_keeps_the_first_error(void **state)
{
    struct records_writer w = {};

    assert_int_equal(records_put(&w, 1, "", (size_t)UINT32_MAX + 1), -EINVAL);
    assert_int_equal(records_put_u64(&w, 1, 1), -EINVAL);
    assert_int_equal(w.size, 0);
    records_writer_deinit(&w);
}

/* Every cut of a good text but the empty one, and the one between the records, is refused. */
static void append_puts_one_behind_the_other(void **state)
{
    struct records_writer all = {}, one = {}, none = {};

    assert_int_equal(records_put_u64(&one, 7, 1), 0);
    assert_int_equal(records_append(&all, &none), 0);
    assert_int_equal(all.size, 0);
    for (size_t i = 1; i <= 1000; i++) {
        assert_int_equal(records_append(&all, &one), 0);
        assert_int_equal(all.size, i * one.size);
    }
    assert_memory_equal(all.data + 999 * one.size, one.data, one.size);
    none.error = -ENOMEM;
    assert_int_equal(records_append(&all, &none), -ENOMEM);
    assert_int_equal(records_append(&all, &one), -ENOMEM);
    records_writer_deinit(&all);
    records_writer_deinit(&one);
}

static void next_refuses_every_truncation(void **state)
{
    struct records_writer w = {};
    struct record record;

    assert_int_equal(records_put_string(&w, 1, "text"), 0);
    size_t between = w.size;
    assert_int_equal(records_put_u64(&w, 2, 5), 0);
    for (size_t size = 1; size < w.size; size++) {
        struct records_reader r = {.data = w.data, .size = size};
        int result;
        while ((result = records_next(&r, &record)) == 1)
            ;
        assert_int_equal(result, size == between ? 0 : -EBADMSG);
    }
    records_writer_deinit(&w);
}

static void next_refuses_a_foreign_head(void **state)
{
    const uint8_t nonzero[8] = {1, 0, 1, 0, 0, 0, 0, 0};
    const uint8_t too_long[8] = {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct records_reader r = {.data = nonzero, .size = sizeof(nonzero)};
    struct record record;

    assert_int_equal(records_next(&r, &record), -EBADMSG);
    r = (struct records_reader){.data = too_long, .size = sizeof(too_long)};
    assert_int_equal(records_next(&r, &record), -EBADMSG);
}

static void string_is_one_nul_at_the_end(void **state)
{
    assert_null(record_string(&(struct record){.value = "", .size = 0}));
    assert_null(record_string(&(struct record){.value = "ab", .size = 2}));
    assert_null(record_string(&(struct record){.value = "a\0b", .size = 4}));
    assert_string_equal(record_string(&(struct record){.value = "", .size = 1}), "");
}

static void number_has_eight_bytes(void **state)
{
    uint64_t value = 42;

    assert_int_equal(record_u64(&(struct record){.value = "1234567", .size = 7}, &value), -EBADMSG);
    assert_int_equal(record_u64(&(struct record){.value = "123456789", .size = 9}, &value),
                     -EBADMSG);
    assert_true(value == 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_and_next_round_trip),
        cmocka_unit_test(put_grows),
        cmocka_unit_test(put_keeps_the_first_error),
        cmocka_unit_test(append_puts_one_behind_the_other),
        cmocka_unit_test(next_refuses_every_truncation),
        cmocka_unit_test(next_refuses_a_foreign_head),
        cmocka_unit_test(string_is_one_nul_at_the_end),
        cmocka_unit_test(number_has_eight_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
