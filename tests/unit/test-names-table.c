/* daemon/gate/names-table.c: each name has an address of its own, the one asked for longest ago is
 * forgotten first, what is held stays, and no address comes back soon. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "caged-limits.h"
#include "daemon/gate/names-table.h"
#include "gate-proto.h"

#define N_ADDRESSES ((1u << (32 - GATE_SYNTHETIC_PREFIX)) - 2)

static struct names_table *table_new(uint32_t lot)
{
    struct names_table *table;

    assert_int_equal(names_table_new(lot, &table), 0);
    return table;
}

static uint32_t assign(struct names_table *table, const char *name)
{
    struct in_addr address;

    assert_int_equal(names_table_assign(table, name, &address), 0);
    return ntohl(address.s_addr);
}

/* The names of these numbers: "n7". */
static uint32_t assign_number(struct names_table *table, unsigned number)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "n%u", number);
    return assign(table, name);
}

static struct named_address *find(struct names_table *table, uint32_t address)
{
    return names_table_find(table, (struct in_addr){.s_addr = htonl(address)});
}

static void check(struct names_table *table, uint32_t address, const char *name)
{
    struct named_address *named = find(table, address);

    if (!name)
        assert_null(named);
    else
        assert_string_equal(named_address_name(named), name);
}

static void names_have_addresses_of_their_own(void **state)
{
    CLEANUP(names_table_freep) struct names_table *table = table_new(12345);
    uint32_t a = assign(table, "a.example"), b = assign(table, "b.example");

    assert_int_not_equal(a, b);
    assert_int_equal(assign(table, "a.example"), a);
    check(table, a, "a.example");
    check(table, b, "b.example");
    check(table, b + 1, NULL);
    check(table, GATE_SYNTHETIC_NETWORK, NULL);
    check(table, 0, NULL);
    names_table_free(NULL);
}

static void every_lot_begins_inside_of_the_block(void **state)
{
    static const uint32_t lots[] = {0, 1, N_ADDRESSES - 1, N_ADDRESSES, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(lots); i++) {
        CLEANUP(names_table_freep) struct names_table *table = table_new(lots[i]);
        for (unsigned n = 0; n < 3; n++) {
            uint32_t offset = assign_number(table, n) - GATE_SYNTHETIC_NETWORK;
            assert_in_range(offset, 1, N_ADDRESSES);
            assert_int_equal(offset, 1 + (lots[i] % N_ADDRESSES + n) % N_ADDRESSES);
        }
    }
}

static void the_one_asked_for_longest_ago_goes_first(void **state)
{
    CLEANUP(names_table_freep) struct names_table *table = table_new(7);
    uint32_t first = assign_number(table, 0), second = assign_number(table, 1);

    for (unsigned n = 2; n < GATE_NAMES_MAX; n++)
        (void)assign_number(table, n);
    assert_int_equal(assign_number(table, 0), first); /* asked for again: now 1 is the oldest */
    uint32_t more = assign(table, "more");
    check(table, first, "n0");
    check(table, second, NULL);
    check(table, more, "more");
    assert_int_not_equal(assign_number(table, 1), second); /* another one, and 2 is gone */
    check(table, second, NULL);
    check(table, second + 1, NULL);
    check(table, second + 2, "n3");
}

static void what_is_held_stays(void **state)
{
    CLEANUP(names_table_freep) struct names_table *table = table_new(N_ADDRESSES - 5);
    uint32_t held = assign(table, "held");
    struct named_address *named = find(table, held);

    names_table_hold(table, named);
    names_table_hold(table, named);
    names_table_release(table, named);
    for (unsigned n = 0; n < N_ADDRESSES + 3; n++)
        assert_int_not_equal(assign_number(table, n), held); /* once round the block */
    check(table, held, "held");
    assert_int_equal(assign(table, "held"), held);
    names_table_release(table, named);
    for (unsigned n = 0; n < GATE_NAMES_MAX; n++)
        (void)assign_number(table, n);
    check(table, held, NULL);
}

static void when_all_are_held_there_is_no_address_for_another(void **state)
{
    CLEANUP(names_table_freep) struct names_table *table = table_new(0);
    struct named_address *last = NULL;
    struct in_addr address = {.s_addr = 1};

    for (unsigned n = 0; n < GATE_NAMES_MAX; n++) {
        last = find(table, assign_number(table, n));
        names_table_hold(table, last);
    }
    assert_int_equal(names_table_assign(table, "more", &address), -ENOBUFS);
    assert_int_equal(address.s_addr, 1);
    (void)assign_number(table, 5); /* has one */
    names_table_release(table, last);
    assert_int_equal(names_table_assign(table, "more", &address), 0);
}

static void an_address_is_not_given_again_soon(void **state)
{
    CLEANUP(names_table_freep) struct names_table *table = table_new(99);
    uint32_t first = assign_number(table, 0);

    for (unsigned n = 1; n < N_ADDRESSES; n++)
        assert_int_not_equal(assign_number(table, n), first);
    assert_int_equal(assign_number(table, N_ADDRESSES), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_addresses_of_their_own),
        cmocka_unit_test(every_lot_begins_inside_of_the_block),
        cmocka_unit_test(the_one_asked_for_longest_ago_goes_first),
        cmocka_unit_test(what_is_held_stays),
        cmocka_unit_test(when_all_are_held_there_is_no_address_for_another),
        cmocka_unit_test(an_address_is_not_given_again_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
