/* The ring: order, bound, gaps, the hold of a foreground reader. */
#include "unit-test.h"

#include "agent/ring.h"

#define ENTRY_COST(size) (sizeof(struct ring_entry) + (size) + RING_ENTRY_OVERHEAD)

static void push_number(struct ring *ring, uint32_t number)
{
    assert_int_equal(ring_push(ring, 1000 + number, number, &number, sizeof(number)), 0);
}

static void keeps_order_and_content(void **state)
{
    struct ring *ring = ring_new(1 << 20);
    const struct ring_entry *entry;

    for (uint32_t i = 0; i < 100; i++)
        push_number(ring, i);
    assert_int_equal(ring_first(ring), 1);
    assert_int_equal(ring_end(ring), 101);
    for (uint32_t i = 0; i < 100; i++) {
        entry = ring_get(ring, i + 1);
        assert_non_null(entry);
        assert_int_equal(entry->sequence, i + 1);
        assert_int_equal(entry->time_usec, 1000 + i);
        assert_int_equal(entry->tag, i);
        assert_int_equal(entry->size, sizeof(uint32_t));
        assert_memory_equal(entry->data, &i, sizeof(i));
    }
    assert_null(ring_get(ring, 101));
    ring_free(ring);
}

static void drops_the_oldest_beyond_the_bound(void **state)
{
    struct ring *ring = ring_new(10 * ENTRY_COST(4));

    for (uint32_t i = 0; i < 1000; i++)
        push_number(ring, i);
    assert_int_equal(ring_first(ring), 991);
    assert_int_equal(ring_get(ring, 1)->sequence, 991); /* the reader sees how much it missed */
    assert_int_equal(ring_get(ring, 995)->sequence, 995);
    ring_free(ring);
}

static void keeps_one_entry_over_the_bound(void **state)
{
    struct ring *ring = ring_new(16);

    push_number(ring, 1);
    push_number(ring, 2);
    assert_int_equal(ring_first(ring), 2);
    assert_non_null(ring_get(ring, 1));
    ring_free(ring);
}

static void a_lower_bound_drops_the_oldest_at_once(void **state)
{
    struct ring *ring = ring_new(10 * ENTRY_COST(4));

    for (uint32_t i = 0; i < 10; i++)
        push_number(ring, i);
    ring_hold(ring, 9);
    ring_set_bound(ring, 4 * ENTRY_COST(4));
    assert_int_equal(ring_first(ring), 7);
    ring_set_bound(ring, ENTRY_COST(4));
    assert_int_equal(ring_first(ring), 9); /* but nothing that is held */
    assert_true(ring_is_full(ring));
    ring_set_bound(ring, 10 * ENTRY_COST(4));
    push_number(ring, 10);
    assert_int_equal(ring_first(ring), 9);
    assert_int_equal(ring_end(ring), 12);
    ring_free(ring);
}

static void hold_keeps_what_is_unread(void **state)
{
    struct ring *ring = ring_new(10 * ENTRY_COST(4));

    ring_hold(ring, 1);
    for (uint32_t i = 0; i < 15; i++)
        push_number(ring, i);
    assert_true(ring_is_full(ring));
    assert_int_equal(ring_first(ring), 1);

    ring_hold(ring, 8); /* seven were read: there is room again */
    assert_false(ring_is_full(ring));
    assert_int_equal(ring_get(ring, 8)->sequence, 8);

    ring_hold(ring, UINT64_MAX);
    for (uint32_t i = 0; i < 15; i++)
        push_number(ring, i);
    assert_int_equal(ring_first(ring), 21);
    ring_free(ring);
}

static void empty_ring(void **state)
{
    struct ring *ring = ring_new(100);

    assert_int_equal(ring_first(ring), 1);
    assert_int_equal(ring_end(ring), 1);
    assert_null(ring_get(ring, 1));
    ring_hold(ring, 5);
    assert_false(ring_is_full(ring));
    assert_null(ring_free(ring));
    assert_null(ring_free(NULL));
}

static void empty_entries_are_entries(void **state)
{
    struct ring *ring = ring_new(1000);

    assert_int_equal(ring_push(ring, 1, 0, NULL, 0), 0);
    assert_int_equal(ring_get(ring, 1)->size, 0);
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_content),
        cmocka_unit_test(drops_the_oldest_beyond_the_bound),
        cmocka_unit_test(keeps_one_entry_over_the_bound),
        cmocka_unit_test(a_lower_bound_drops_the_oldest_at_once),
        cmocka_unit_test(hold_keeps_what_is_unread),
        cmocka_unit_test(empty_ring),
        cmocka_unit_test(empty_entries_are_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
