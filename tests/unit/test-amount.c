/* common/amount: what a person reads. */
#include "unit-test.h"

#include "amount.h"

static void test_bytes(void **state)
{
    struct amount buffer;

    assert_string_equal(amount_of_bytes(0, &buffer), "0 B");
    assert_string_equal(amount_of_bytes(999, &buffer), "999 B");
    assert_string_equal(amount_of_bytes(1000, &buffer), "1.0 kB");
    assert_string_equal(amount_of_bytes(1999, &buffer), "1.9 kB");
    assert_string_equal(amount_of_bytes(9999, &buffer), "9.9 kB");
    assert_string_equal(amount_of_bytes(12345, &buffer), "12 kB");
    assert_string_equal(amount_of_bytes(999999, &buffer), "999 kB");
    assert_string_equal(amount_of_bytes(1000000, &buffer), "1.0 MB");
    assert_string_equal(amount_of_bytes(UINT64_MAX, &buffer), "18 EB");
}

static void test_times(void **state)
{
    const uint64_t s = 1000000;
    struct amount buffer;

    assert_string_equal(amount_of_time(0, &buffer), "0 ms");
    assert_string_equal(amount_of_time(s - 1, &buffer), "999 ms");
    assert_string_equal(amount_of_time(4234567, &buffer), "4.2 s");
    assert_string_equal(amount_of_time(60 * s - 1, &buffer), "59 s");
    assert_string_equal(amount_of_time(63 * s, &buffer), "1m 3s");
    assert_string_equal(amount_of_time(7800 * s, &buffer), "2h 10m");
    assert_string_equal(amount_of_time(UINT64_MAX, &buffer), "5124095576h 1m");
}

static void test_counts(void **state)
{
    struct amount buffer;

    assert_string_equal(amount_of_count(0, &buffer), "0");
    assert_string_equal(amount_of_count(999, &buffer), "999");
    assert_string_equal(amount_of_count(1000, &buffer), "1,000");
    assert_string_equal(amount_of_count(1234567, &buffer), "1,234,567");
    assert_string_equal(amount_of_count(UINT64_MAX, &buffer), "18,446,744,073,709,551,615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
