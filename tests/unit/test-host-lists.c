/* daemon/agent/host-lists: what a change makes of the lists of an agent that runs, and which
 * changes are refused as a whole. */
#include "unit-test.h"

#include <stdio.h>

#include "agent/host-lists.h"
#include "caged-limits.h"

static struct string_list list_of(const char *const *items)
{
    size_t n = 0;

    while (items[n])
        n++;
    return (struct string_list){(char **)items, n};
}

static void check(const struct string_list *list, const char *const *expected)
{
    struct string_list wanted = list_of(expected);

    assert_int_equal(list->count, wanted.count);
    for (size_t i = 0; i < list->count; i++)
        assert_string_equal(list->items[i], wanted.items[i]);
}

static int change_by(const struct policy_rule *rule, const struct host_lists *now,
                     const char *const *allow, const char *const *deny, struct host_lists *ret,
                     struct host_change_fault *fault)
{
    struct string_list to_allow = list_of(allow), to_deny = list_of(deny);
    const struct host_change asked = {&to_allow, &to_deny};

    return host_lists_change(now, &asked, rule, ret, fault);
}

static int change(const struct host_lists *now, const char *const *allow, const char *const *deny,
                  struct host_lists *ret, struct host_change_fault *fault)
{
    return change_by(site_policy_root_rule(), now, allow, deny, ret, fault);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING ((const char *const[]){NULL})

static void test_entries_move_from_list_to_list(void **state)
{
    const struct host_lists now = {
        .allowed = list_of(LIST("a.example", "B.example", "10.0.0.0/8:22", "b.example")),
        .denied = list_of(LIST("*.evil", "c.example")),
    };
    struct host_lists lists;
    struct host_change_fault fault;

    assert_int_equal(change(&now, LIST("C.example", "d.example", "a.example"),
                            LIST("b.example", "*.EVIL", "10.0.0.0/8"), &lists, &fault),
                     0);
    check(&lists.allowed, LIST("a.example", "10.0.0.0/8:22", "C.example", "d.example"));
    check(&lists.denied, LIST("*.EVIL", "b.example", "10.0.0.0/8"));
    host_lists_deinit(&lists);

    assert_int_equal(change(&now, LIST("d.example", "D.example."), NOTHING, &lists, &fault), 0);
    check(&lists.allowed,
          LIST("a.example", "B.example", "10.0.0.0/8:22", "b.example", "D.example."));
    host_lists_deinit(&lists);
}

static void test_what_is_alike_is_not_the_same(void **state)
{
    static const char *const different[] = {
        "x.example",  "x.example:443", "x.example:80", "*.x.example", "10.0.0.0/8",
        "10.0.0.0/9", "10.0.0.0/8:80", "10.0.0.0",     "[fd00::]/8",  "[fd00::]",
        "localhost",  "127.0.0.1",     "x.example:*"};
    const struct host_lists none = {};
    struct host_lists lists;
    struct host_change_fault fault;

    for (size_t i = 0; i < ARRAY_SIZE(different); i++)
        for (size_t k = 0; k < ARRAY_SIZE(different); k++) {
            int r = change(&none, LIST(different[i]), LIST(different[k]), &lists, &fault);
            assert_int_equal(r, i == k ? -EINVAL : 0);
            if (r == 0)
                host_lists_deinit(&lists);
        }
}

static void test_a_bad_entry_is_named(void **state)
{
    const struct host_lists none = {};
    struct host_lists lists;
    struct host_change_fault fault = {};

    assert_int_equal(change(&none, LIST("a", "b"), LIST("c", "d/e"), &lists, &fault), -EINVAL);
    assert_string_equal(fault.list, "deny");
    assert_int_equal(fault.index, 1);
    assert_int_equal(change(&none, LIST("a", "x y"), LIST("c"), &lists, &fault), -EINVAL);
    assert_string_equal(fault.list, "allow");
    assert_int_equal(fault.index, 1);
    assert_int_equal(change(&none, LIST("a;sni=any"), LIST("c;sni=any"), &lists, &fault), -EINVAL);
    assert_string_equal(fault.list, "deny");
}

static void test_options_do_not_make_another_entry(void **state)
{
    const struct host_lists now = {.allowed = list_of(LIST("a.example:443", "b.example;sni=any"))};
    struct host_lists lists;
    struct host_change_fault fault = {};

    assert_int_equal(change(&now, LIST("a.example:443;sni=any"), LIST("b.example"), &lists, &fault),
                     0);
    check(&lists.allowed, LIST("a.example:443;sni=any"));
    check(&lists.denied, LIST("b.example"));
    host_lists_deinit(&lists);
}

static void test_no_list_grows_without_bound(void **state)
{
    static char texts[CARD_HOSTS_MAX + 1][32];
    const char *items[CARD_HOSTS_MAX + 2] = {};
    struct host_lists lists, now = {};
    struct host_change_fault fault = {};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "h%zu.example", i);
        items[i] = texts[i];
    }
    assert_int_equal(change(&now, items, NOTHING, &lists, &fault), -E2BIG);
    assert_string_equal(fault.list, "allow");
    items[CARD_HOSTS_MAX] = NULL;
    assert_int_equal(change(&now, items, NOTHING, &lists, &fault), 0);
    assert_int_equal(lists.allowed.count, CARD_HOSTS_MAX);
    now = (struct host_lists){.denied = list_of(items)};
    host_lists_deinit(&lists);
    assert_int_equal(change(&now, NOTHING, LIST("one.more"), &lists, &fault), -E2BIG);
    assert_string_equal(fault.list, "denied_hosts");
    assert_int_equal(change(&now, LIST("h7.example"), LIST("one.more"), &lists, &fault), 0);
    assert_int_equal(lists.denied.count, CARD_HOSTS_MAX);
    host_lists_deinit(&lists);
}

/* What is in force already is not asked about again, and to deny needs no rule. */
static void test_what_comes_is_held_against_the_rule(void **state)
{
    static const char text[] = "{\"rules\": [{\"users\": [\"*\"], \"allowed_hosts\":"
                               " [\"*.example\"], \"private_hosts\": [\"10.0.0.0/8:22\"]}]}";
    CLEANUP(site_policy_freep) struct site_policy *policy = NULL;
    const struct host_lists now = {.allowed = list_of(LIST("a.other"))};
    struct policy_error error;
    struct host_lists lists;
    struct host_change_fault fault;

    assert_int_equal(site_policy_parse_text(text, strlen(text), &policy, &error), 0);
    const struct policy_rule *rule = &policy->rules[0];
    assert_int_equal(
        change_by(rule, &now, LIST("b.example", "10.1.0.0/16:22"), NOTHING, &lists, &fault), 0);
    check(&lists.allowed, LIST("a.other", "b.example", "10.1.0.0/16:22"));
    host_lists_deinit(&lists);

    assert_int_equal(change_by(rule, &now, LIST("b.example", "b.other"), NOTHING, &lists, &fault),
                     -EPERM);
    assert_string_equal(fault.list, "allow");
    assert_int_equal(fault.index, 1);
    assert_string_equal(fault.error.found, "the entry \"b.other\", which is ports 80 and 443");
    assert_int_equal(change_by(rule, &now, LIST("10.0.0.1:80"), NOTHING, &lists, &fault), -EPERM);

    assert_int_equal(change_by(NULL, &now, LIST("b.example"), NOTHING, &lists, &fault), -EPERM);
    assert_string_equal(fault.error.found, "the entry \"b.example\"");
    assert_non_null(strstr(fault.error.expected, "no rule of the site policy"));
    assert_int_equal(change_by(NULL, &now, NOTHING, LIST("a.other"), &lists, &fault), 0);
    check(&lists.denied, LIST("a.other"));
    host_lists_deinit(&lists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_move_from_list_to_list),
        cmocka_unit_test(test_what_is_alike_is_not_the_same),
        cmocka_unit_test(test_a_bad_entry_is_named),
        cmocka_unit_test(test_what_comes_is_held_against_the_rule),
        cmocka_unit_test(test_options_do_not_make_another_entry),
        cmocka_unit_test(test_no_list_grows_without_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
