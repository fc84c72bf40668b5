/* spawn-rate: how often each user may ask. */
#include "../../daemon/policy/spawn-rate.h"

#include "unit-test.h"

#define SECOND ((uint64_t)1000 * 1000)
#define START ((uint64_t)5 * SECOND) /* shortly after a boot */

static size_t take_all(struct spawn_rate *rate, uid_t uid, uint64_t per_minute, uint64_t now)
{
    size_t n = 0;

    while (n < 10000 && spawn_rate_take(rate, uid, per_minute, now) == 0)
        n++;
    return n;
}

static void test_so_many_at_once_and_then_one_in_each_part_of_a_minute(void **state)
{
    struct spawn_rate rate = {.n_users = 0};

    assert_int_equal(take_all(&rate, 1, 6, START), 6);
    assert_int_equal(take_all(&rate, 1, 6, START + 10 * SECOND - 1), 0);
    assert_int_equal(take_all(&rate, 1, 6, START + 10 * SECOND), 1);
    assert_int_equal(take_all(&rate, 1, 6, START + 35 * SECOND), 2);
    assert_int_equal(take_all(&rate, 1, 6, START + 35 * SECOND + 60 * SECOND), 6);
    assert_int_equal(take_all(&rate, 1, 6, START + 1000 * SECOND), 6);
    assert_int_equal(take_all(&rate, 2, 1, START), 1);
}

static void test_one_too_many_is_told_when_the_next_may_come(void **state)
{
    struct spawn_rate rate = {.n_users = 0};

    assert_int_equal(take_all(&rate, 1, 6, START), 6);
    assert_int_equal(spawn_rate_take(&rate, 1, 6, START), 10 * SECOND);
    assert_int_equal(spawn_rate_take(&rate, 1, 6, START + 7 * SECOND), 3 * SECOND);
    assert_int_equal(spawn_rate_take(&rate, 1, 6, START + 10 * SECOND - 1), 1);
    assert_int_equal(spawn_rate_take(&rate, 1, 6, START + 10 * SECOND), 0);
    assert_int_equal(spawn_rate_take(&rate, 1, 6, START + 10 * SECOND), 10 * SECOND);
    assert_int_equal(spawn_rate_take(&rate, 2, 1, START), 0);
    assert_int_equal(spawn_rate_take(&rate, 2, 1, START), 60 * SECOND);
}

static void test_each_user_has_a_measure_of_its_own(void **state)
{
    struct spawn_rate rate = {.n_users = 0};

    assert_int_equal(take_all(&rate, 1, 3, START), 3);
    assert_int_equal(take_all(&rate, 2, 5, START), 5);
    assert_int_not_equal(spawn_rate_take(&rate, 1, 3, START), 0);
}

static void test_no_limit_takes_no_place(void **state)
{
    struct spawn_rate rate = {.n_users = 0};

    assert_int_equal(take_all(&rate, 1, 0, START), 10000);
    assert_int_equal(rate.n_users, 0);
}

static void test_another_policy_counts_from_now_on(void **state)
{
    struct spawn_rate rate = {.n_users = 0};

    assert_int_equal(take_all(&rate, 1, 4, START), 4);
    assert_int_equal(take_all(&rate, 1, 600, START), 0);
    assert_int_equal(take_all(&rate, 1, 600, START + SECOND), 10);
    assert_int_equal(take_all(&rate, 1, 1, START + 30 * SECOND), 0);
    assert_int_equal(take_all(&rate, 1, UINT64_MAX, START + 300 * SECOND), 10000);
}

/* Whoever comes first: with many uids nobody is refused, and no user of few attempts forgotten. */
static void test_a_flood_of_users_takes_nothing_from_others(void **state)
{
    struct spawn_rate rate = {.n_users = 0};

    assert_int_equal(take_all(&rate, 1, 2, START), 2);
    for (uid_t uid = 100000; uid < 100000 + 3 * SPAWN_RATE_USERS_MAX; uid++)
        assert_int_equal(spawn_rate_take(&rate, uid, 2, START + 1), 0);
    assert_int_equal(rate.n_users, SPAWN_RATE_USERS_MAX);
    assert_int_not_equal(spawn_rate_take(&rate, 1, 2, START + 2), 0);
    assert_int_equal(spawn_rate_take(&rate, 2, 2, START + 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_at_once_and_then_one_in_each_part_of_a_minute),
        cmocka_unit_test(test_one_too_many_is_told_when_the_next_may_come),
        cmocka_unit_test(test_each_user_has_a_measure_of_its_own),
        cmocka_unit_test(test_no_limit_takes_no_place),
        cmocka_unit_test(test_another_policy_counts_from_now_on),
        cmocka_unit_test(test_a_flood_of_users_takes_nothing_from_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
