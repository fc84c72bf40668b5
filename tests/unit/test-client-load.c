/* What clients make the daemon hold: sums for each user and for all, and what is over. */
#include "unit-test.h"

#include "caged-limits.h"
#include "server/client-load.h"

#define ALICE 1001
#define BOB 1002

static struct client_loads all;

static int empty(void **state)
{
    all = (struct client_loads){};
    return 0;
}

static void begin(struct client_load *loads, size_t n, uid_t uid)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(client_load_init(&loads[i], &all, uid), 0);
}

static void end(struct client_load *loads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        client_load_deinit(&loads[i]);
}

static void nothing_is_left_when_all_are_gone(void **state)
{
    struct client_load loads[3];

    begin(loads, 2, ALICE);
    begin(loads + 2, 1, BOB);
    client_load_set(&loads[0], 1000, 3);
    client_load_set(&loads[0], 400, 1);
    client_load_set(&loads[2], 50, 0);
    assert_null(client_load_begin_call(&loads[1]).limit);
    assert_null(client_load_begin_call(&loads[1]).limit); /* it counts once */
    assert_int_equal(all.n_users, 2);
    assert_int_equal(all.n_connections, 3);
    assert_int_equal(all.buffered, 450);
    assert_int_equal(all.n_calls, 1);
    end(loads, 3);
    client_load_deinit(&loads[0]);
    assert_true(LIST_EMPTY(&all.users));
    assert_int_equal(all.n_users + all.n_connections + all.buffered + all.n_calls, 0);
}

static void root_is_not_counted(void **state)
{
    struct client_load load;

    begin(&load, 1, 0);
    client_load_set(&load, SIZE_MAX / 2, SIZE_MAX / 2);
    assert_null(client_load_find_excess(&load).limit);
    assert_null(client_load_find_pressure(&load).limit);
    assert_null(client_load_begin_call(&load).limit);
    client_load_end_call(&load);
    assert_int_equal(all.n_connections + all.buffered + all.n_calls, 0);
    end(&load, 1);
}

static void one_connection_over_is_told(void **state)
{
    static struct client_load loads[CONNECTIONS_MAX + 1];
    size_t n = 0;

    begin(loads, CONNECTIONS_PER_UID_MAX, ALICE);
    n = CONNECTIONS_PER_UID_MAX;
    assert_null(client_load_find_excess(&loads[n - 1]).limit);
    begin(&loads[n], 1, ALICE);
    assert_string_equal(client_load_find_excess(&loads[n]).limit, "connections of one user");
    assert_int_equal(client_load_find_excess(&loads[n]).maximum, CONNECTIONS_PER_UID_MAX);
    end(&loads[n], 1);
    for (; n < CONNECTIONS_MAX; n++)
        begin(&loads[n], 1, (uid_t)(BOB + n));
    assert_null(client_load_find_excess(&loads[n - 1]).limit);
    begin(&loads[n++], 1, BOB);
    assert_string_equal(client_load_find_excess(&loads[n - 1]).limit, "connections");
    assert_int_equal(client_load_find_excess(&loads[n - 1]).maximum, CONNECTIONS_MAX);
    end(loads, n);
}

static void one_descriptor_over_is_told(void **state)
{
    struct client_load loads[3];

    begin(loads, 2, ALICE);
    begin(&loads[2], 1, BOB);
    client_load_set(&loads[0], 0, WIRE_DESCRIPTORS_PER_UID_MAX - 1);
    client_load_set(&loads[1], 0, 1);
    assert_null(client_load_find_excess(&loads[1]).limit);
    client_load_set(&loads[1], 0, 2);
    assert_string_equal(client_load_find_excess(&loads[1]).limit, "descriptors of one user");
    assert_null(client_load_find_excess(&loads[2]).limit);
    end(loads, 3);
}

static void one_call_over_is_not_counted(void **state)
{
    static struct client_load loads[CALLS_MAX + 2];
    struct load_limit limit;

    begin(loads, CALLS_PER_UID_MAX + 1, ALICE);
    for (size_t i = 0; i < CALLS_PER_UID_MAX; i++)
        assert_null(client_load_begin_call(&loads[i]).limit);
    limit = client_load_begin_call(&loads[CALLS_PER_UID_MAX]);
    assert_string_equal(limit.limit, "calls under way of one user");
    assert_int_equal(limit.maximum, CALLS_PER_UID_MAX);
    client_load_end_call(&loads[0]);
    assert_null(client_load_begin_call(&loads[CALLS_PER_UID_MAX]).limit);
    client_load_end_call(&loads[0]); /* which has none: nothing is counted down */
    assert_int_equal(all.n_calls, CALLS_PER_UID_MAX);

    size_t n = CALLS_PER_UID_MAX + 1;
    for (; n <= CALLS_MAX; n++) {
        begin(&loads[n], 1, (uid_t)(BOB + n));
        assert_null(client_load_begin_call(&loads[n]).limit);
    }
    begin(&loads[n++], 1, BOB);
    limit = client_load_begin_call(&loads[n - 1]);
    assert_string_equal(limit.limit, "calls under way");
    assert_int_equal(limit.maximum, CALLS_MAX);
    end(loads, n);
}

static void who_reads_too_little_is_pressed_and_nobody_else(void **state)
{
    enum { USERS = WIRE_BUFFERED_MAX / WIRE_BUFFERED_PER_UID_MAX };
    struct client_load loads[USERS + 2];

    begin(loads, 2, ALICE);
    client_load_set(&loads[0], WIRE_BUFFERED_PER_UID_MAX - 1, 0);
    assert_null(client_load_find_pressure(&loads[1]).limit);
    client_load_set(&loads[1], 1, 0);
    assert_string_equal(client_load_find_pressure(&loads[1]).limit, "unread bytes of one user");
    client_load_set(&loads[1], 0, 0);

    for (size_t i = 2; i < USERS + 2; i++) {
        begin(&loads[i], 1, (uid_t)(BOB + i));
        client_load_set(&loads[i], WIRE_BUFFERED_PER_UID_MAX - 1, 0);
    }
    assert_true(all.buffered >= WIRE_BUFFERED_MAX);
    for (size_t i = 0; i < USERS + 2; i++)
        assert_string_equal(client_load_find_pressure(&loads[i]).limit,
                            "unread bytes of all users");
    client_load_set(&loads[2], 4096, 0); /* who has little goes on, whatever the others do */
    client_load_set(&loads[3], WIRE_BUFFERED_PER_UID_MAX + 4096, 0);
    assert_null(client_load_find_pressure(&loads[2]).limit);
    end(loads, USERS + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_left_when_all_are_gone, empty),
        cmocka_unit_test_setup(root_is_not_counted, empty),
        cmocka_unit_test_setup(one_connection_over_is_told, empty),
        cmocka_unit_test_setup(one_descriptor_over_is_told, empty),
        cmocka_unit_test_setup(one_call_over_is_not_counted, empty),
        cmocka_unit_test_setup(who_reads_too_little_is_pressed_and_nobody_else, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
