/* The last items of a stream: which are kept, in which order, and who frees what. */
#include "unit-test.h"

#include <stdio.h>

#include "../../client/last-items.h"
#include "util.h"

struct item {
    char *text;
};

static unsigned n_freed;

static void item_deinit(void *data)
{
    struct item *item = data;

    n_freed += item->text != NULL;
    free(item->text);
}

/* Keeps "0", "1", ... */
static void keep(struct last_items *last, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct item item = {};
        assert_true(asprintf(&item.text, "%u", i) > 0);
        assert_int_equal(last_items_keep(last, &item), 0);
        assert_null(item.text);
    }
}

static void test_the_last_are_kept_in_their_order(void **state)
{
    static const struct {
        uint64_t max;
        unsigned n, first, count;
    } cases[] = {
        {3, 0, 0, 0},         {3, 2, 0, 2},
        {3, 3, 0, 3},         {3, 4, 1, 3},
        {3, 11, 8, 3},        {1, 5, 4, 1},
        {100, 64, 0, 64},     {100, 100, 0, 100},
        {100, 250, 150, 100}, {UINT64_MAX, 300, 0, 300},
        {0, 4, 4, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct last_items last = {
            .max = cases[i].max, .item_size = sizeof(struct item), .deinit = item_deinit};
        n_freed = 0;
        keep(&last, cases[i].n);
        assert_int_equal(last.count, cases[i].count);
        for (unsigned k = 0; k < cases[i].count; k++) {
            char expected[16];
            (void)snprintf(expected, sizeof(expected), "%u", cases[i].first + k);
            assert_string_equal(((struct item *)last_items_get(&last, k))->text, expected);
        }
        assert_int_equal(n_freed, cases[i].n - cases[i].count);
        last_items_deinit(&last);
        assert_int_equal(n_freed, cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_are_kept_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
