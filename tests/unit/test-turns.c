/* daemon/server/turns: whose turn it is, and that who leaves, or is freed, meanwhile is no matter.
 */
#include "unit-test.h"

#include <stdio.h>
#include <string.h>

#include "server/turns.h"
#include "util.h"

#define ALICE 1001
#define BOB 1002
#define CAROL 1003

struct waiter {
    struct turn turn;
    char name;
    unsigned again; /* how often it waits anew */
};

static struct turns turns;
static sd_event *event;
static char order[64];
static struct waiter *victim; /* leaves when the next one has its turn */

static void run(struct turn *turn)
{
    struct waiter *waiter = CONTAINER_OF(turn, struct waiter, turn);
    size_t used = strlen(order);
    uid_t user = turn->user;

    assert_false(turn->waiting);
    assert_true(used + 1 < sizeof(order));
    order[used] = waiter->name;
    if (victim)
        turns_forget(&turns, &victim->turn);
    victim = NULL;
    if (waiter->again > 0 && waiter->again--)
        assert_int_equal(turns_ask(&turns, turn, user), 0);
}

static int setup(void **state)
{
    memset(order, 0, sizeof(order));
    victim = NULL;
    if (sd_event_new(&event) < 0)
        return -1;
    turns_init(&turns, event, run);
    return 0;
}

static int teardown(void **state)
{
    turns_deinit(&turns);
    event = sd_event_unref(event);
    return 0;
}

static void ask(struct waiter *waiter, uid_t user)
{
    assert_int_equal(turns_ask(&turns, &waiter->turn, user), 0);
}

static void expect(const char *expected)
{
    while (sd_event_run(event, 0) > 0)
        ;
    assert_string_equal(order, expected);
    assert_true(TAILQ_EMPTY(&turns.firsts));
    assert_null(turns.source);
}

static void users_come_one_after_the_other(void **state)
{
    struct waiter a[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
    struct waiter x = {.name = 'x'}, y = {.name = 'y'}, z = {.name = 'z'};

    for (size_t i = 0; i < ARRAY_SIZE(a); i++)
        ask(&a[i], ALICE);
    ask(&x, BOB);
    ask(&y, BOB);
    ask(&z, CAROL);
    expect("axzbycd");
}

static void who_asks_twice_has_one_turn(void **state)
{
    struct waiter a = {.name = 'a'}, x = {.name = 'x'};

    ask(&a, ALICE);
    ask(&a, ALICE);
    ask(&x, BOB);
    ask(&a, ALICE);
    expect("ax");
    ask(&a, ALICE);
    expect("axa");
}

static void who_waits_anew_comes_behind_all_others(void **state)
{
    struct waiter a = {.name = 'a', .again = 3}, b = {.name = 'b'}, x = {.name = 'x', .again = 1};

    ask(&a, ALICE);
    ask(&b, ALICE);
    ask(&x, BOB);
    expect("axbxaaa");
}

static void who_leaves_in_any_place_has_no_turn(void **state)
{
    for (size_t leaves = 0; leaves < 4; leaves++) {
        static const char *const expected[] = {"xbcd", "axcd", "axbd", "axbc"};
        struct waiter a[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
        struct waiter x = {.name = 'x'};

        memset(order, 0, sizeof(order));
        for (size_t i = 0; i < ARRAY_SIZE(a); i++)
            ask(&a[i], ALICE);
        ask(&x, BOB);
        turns_forget(&turns, &a[leaves].turn);
        turns_forget(&turns, &a[leaves].turn);
        expect(expected[leaves]);
    }
}

static void who_leaves_while_another_has_its_turn_has_none(void **state)
{
    struct waiter a = {.name = 'a'}, b = {.name = 'b'}, x = {.name = 'x'};

    ask(&a, ALICE);
    ask(&b, ALICE);
    ask(&x, BOB);
    victim = &b;
    expect("ax");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(users_come_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(who_asks_twice_has_one_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_anew_comes_behind_all_others, setup, teardown),
        cmocka_unit_test_setup_teardown(who_leaves_in_any_place_has_no_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(who_leaves_while_another_has_its_turn_has_none, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
