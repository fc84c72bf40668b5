/* daemon/agent/agent-hosts: which hosts a card allows, which ports of the loopback it leads into
 * the cage, and what of another card a running agent takes over. */
#include "unit-test.h"

#include <stdio.h>

#include "agent/agent-hosts.h"

static struct card card_of(const char *const *hosts, size_t n, enum api_provider provider)
{
    return (struct card){.api_provider = provider, .allowed_hosts = {(char **)hosts, n}};
}

static void check_allowed(const struct agent_hosts *hosts, const char *const *allowed, size_t n)
{
    assert_int_equal(hosts->n_allowed, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(hosts->allowed[i], allowed[i]);
}

static void test_the_hosts_of_a_card(void **state)
{
    static const char *const list[] = {"a.example", "localhost:8080", "127.0.0.1:8080",
                                       "127.0.0.1:9", "127.0.0.0/8:7"};
    static const char *const fallback[] = {"api.openai.com:443"};
    static const char *const bare[] = {"localhost"};
    static const char *const every[] = {"localhost:*"};
    struct card card = card_of(list, ARRAY_SIZE(list), API_PROVIDER_ANTHROPIC);
    struct agent_hosts hosts;

    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    check_allowed(&hosts, list, ARRAY_SIZE(list));
    assert_int_equal(hosts.n_forward_ports, 2);
    assert_int_equal(hosts.forward_ports[0], 8080);
    assert_int_equal(hosts.forward_ports[1], 9);
    assert_true(hosts.forward_listed[0] && hosts.forward_listed[1]);

    card = card_of(every, 1, API_PROVIDER_CUSTOM);
    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    check_allowed(&hosts, every, 1);
    assert_int_equal(hosts.n_forward_ports, 0);

    card = card_of(NULL, 0, API_PROVIDER_OPENAI);
    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    check_allowed(&hosts, fallback, 1);
    card = card_of(NULL, 0, API_PROVIDER_CUSTOM);
    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    assert_int_equal(hosts.n_allowed, 0);
    card = card_of(bare, 1, API_PROVIDER_CUSTOM);
    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    assert_int_equal(hosts.n_forward_ports, 2);
}

static void test_denied_ports_of_the_loopback_are_not_listed(void **state)
{
    static const char *const list[] = {"localhost:80", "localhost:81", "127.0.0.1:82"};
    static const char *const denied[] = {"localhost:81", "127.0.0.0/8:82", "a.example"};
    struct card card = card_of(list, ARRAY_SIZE(list), API_PROVIDER_CUSTOM);
    struct agent_hosts hosts, next;
    bool left_out[CARD_HOSTS_MAX];

    card.denied_hosts = (struct string_list){(char **)denied, ARRAY_SIZE(denied)};
    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    assert_int_equal(hosts.n_forward_ports, 3);
    assert_true(hosts.forward_listed[0]);
    assert_false(hosts.forward_listed[1] || hosts.forward_listed[2]);
    /* What is denied no more is listed again. */
    card.denied_hosts.count = 1;
    assert_int_equal(agent_hosts_change(&hosts, &card, API_PROVIDER_CUSTOM, &next, left_out), 0);
    assert_true(next.forward_listed[0] && next.forward_listed[2]);
    assert_false(next.forward_listed[1]);
}

static void test_too_many_ports_of_the_loopback(void **state)
{
    static char texts[GATE_FORWARDS_MAX + 1][32];
    const char *list[GATE_FORWARDS_MAX + 1];
    struct agent_hosts hosts;

    for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "localhost:%zu", i + 1);
        list[i] = texts[i];
    }
    struct card card = card_of(list, GATE_FORWARDS_MAX, API_PROVIDER_CUSTOM);
    assert_int_equal(agent_hosts_from_card(&card, &hosts), 0);
    card.allowed_hosts.count++;
    assert_int_equal(agent_hosts_from_card(&card, &hosts), -E2BIG);
    /* A list that was full is no reason to read past its end. */
    bool left_out[CARD_HOSTS_MAX];
    struct agent_hosts next;
    assert_int_equal(agent_hosts_change(&hosts, &card, API_PROVIDER_CUSTOM, &next, left_out), 0);
    assert_int_equal(next.n_allowed, GATE_FORWARDS_MAX);
    assert_true(left_out[GATE_FORWARDS_MAX]);
}

static void test_a_change_takes_what_needs_no_new_listener(void **state)
{
    static const char *const first[] = {"localhost:80", "a.example"};
    static const char *const second[] = {"b.example", "localhost:81", "127.0.0.1:80", "localhost",
                                         "10.0.0.1:5432"};
    static const char *const taken[] = {"b.example", "127.0.0.1:80", "10.0.0.1:5432"};
    static const char *const third[] = {"c.example"};
    static const char *const only_new[] = {"localhost:99"};
    static const char *const fallback[] = {"api.anthropic.com:443"};
    struct card card = card_of(first, ARRAY_SIZE(first), API_PROVIDER_ANTHROPIC);
    struct agent_hosts running, next, last;
    bool left_out[CARD_HOSTS_MAX];

    assert_int_equal(agent_hosts_from_card(&card, &running), 0);
    card = card_of(second, ARRAY_SIZE(second), API_PROVIDER_OPENAI);
    assert_int_equal(agent_hosts_change(&running, &card, API_PROVIDER_ANTHROPIC, &next, left_out),
                     0);
    check_allowed(&next, taken, ARRAY_SIZE(taken));
    assert_true(!left_out[0] && left_out[1] && !left_out[2] && left_out[3] && !left_out[4]);
    assert_true(next.n_forward_ports == 1 && next.forward_listed[0]);

    /* What listens in the cage stays the same, in the same order, and can come back. */
    card = card_of(third, 1, API_PROVIDER_ANTHROPIC);
    assert_int_equal(agent_hosts_change(&next, &card, API_PROVIDER_ANTHROPIC, &last, left_out), 0);
    assert_true(last.n_forward_ports == 1 && last.forward_ports[0] == 80);
    assert_false(last.forward_listed[0]);
    card = card_of(first, ARRAY_SIZE(first), API_PROVIDER_ANTHROPIC);
    assert_int_equal(agent_hosts_change(&last, &card, API_PROVIDER_ANTHROPIC, &next, left_out), 0);
    assert_true(next.forward_listed[0] && !left_out[0]);

    /* An empty list is the provider's host; one of which nothing can be taken is nothing. */
    card = card_of(NULL, 0, API_PROVIDER_OPENAI);
    assert_int_equal(agent_hosts_change(&running, &card, API_PROVIDER_ANTHROPIC, &next, left_out),
                     0);
    check_allowed(&next, fallback, 1);
    card = card_of(only_new, 1, API_PROVIDER_ANTHROPIC);
    assert_int_equal(agent_hosts_change(&running, &card, API_PROVIDER_ANTHROPIC, &next, left_out),
                     0);
    assert_int_equal(next.n_allowed, 0);
    assert_true(left_out[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hosts_of_a_card),
        cmocka_unit_test(test_denied_ports_of_the_loopback_are_not_listed),
        cmocka_unit_test(test_too_many_ports_of_the_loopback),
        cmocka_unit_test(test_a_change_takes_what_needs_no_new_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
