/* daemon/agent/refused-hosts, daemon/agent/held-requests: what is remembered of an agent's
 * requests, and that no agent and no gate can make it grow. */
#include "unit-test.h"

#include <stdio.h>
#include <string.h>

#include "agent/held-requests.h"
#include "agent/refused-hosts.h"

static void note(struct refused_hosts *hosts, const char *host, uint16_t port, const char *code,
                 uint64_t count)
{
    const struct refusal_note one = {
        .host = host, .address = "", .code = code, .port = port, .count = count, .usec = count};

    refused_hosts_note(hosts, &one);
}

static void test_refusals_of_a_host_are_counted_together(void **state)
{
    struct refused_hosts hosts = {};

    note(&hosts, "a.example", 443, "host-not-allowed", 1);
    note(&hosts, "a.example", 80, "host-not-allowed", 1);
    note(&hosts, "a.example", 443, "ask-timeout", 1);
    note(&hosts, "a.example", 443, "host-not-allowed", 41);
    assert_int_equal(hosts.count, 3);
    assert_string_equal(hosts.items[0].host, "a.example");
    assert_string_equal(hosts.items[0].code, "host-not-allowed");
    assert_int_equal(hosts.items[0].count, 42);
    assert_int_equal(hosts.items[0].last_usec, 41);
    assert_int_equal(hosts.lost, 0);

    /* What no list of hosts could change. */
    note(&hosts, "b.example", 443, "dial-failed", 1);
    note(&hosts, "b.example", 443, "sni-mismatch", 1);
    assert_int_equal(hosts.count, 3);
    refused_hosts_deinit(&hosts);
}

static void test_what_does_not_fit_is_counted(void **state)
{
    struct refused_hosts hosts = {};
    char name[32];

    for (int i = 0; i < REFUSED_HOSTS_MAX + 10; i++) {
        (void)snprintf(name, sizeof(name), "h%d.example", i);
        note(&hosts, name, 443, "host-not-allowed", 2);
    }
    assert_int_equal(hosts.count, REFUSED_HOSTS_MAX);
    assert_int_equal(hosts.lost, 20);
    note(&hosts, "h0.example", 443, "host-not-allowed", 1); /* there is room for what is known */
    assert_int_equal(hosts.items[0].count, 3);
    note(&hosts, "", 0, "host-not-allowed", 7); /* a sum of several hosts */
    assert_int_equal(hosts.lost, 27);
    refused_hosts_deinit(&hosts);

    note(&hosts, "", 0, "host-denied", 7);
    char longest[255] = {};
    memset(longest, 'x', sizeof(longest) - 1);
    note(&hosts, longest, 443, "host-denied", 1);
    assert_int_equal(hosts.count, 0);
    assert_int_equal(hosts.lost, 8);
    note(&hosts, longest + 1, 443, "host-denied", 1);
    assert_int_equal(hosts.count, 1);
    refused_hosts_deinit(&hosts);
}

static void test_counts_do_not_overflow(void **state)
{
    struct refused_hosts hosts = {};

    for (int i = 0; i < 3; i++)
        note(&hosts, "a.example", 443, "host-not-allowed", UINT64_MAX / 2);
    assert_int_equal(hosts.items[0].count, INT64_MAX);
    refused_hosts_deinit(&hosts);
}

static void hold(struct held_requests *held, uint64_t request)
{
    held_requests_add(held, &(struct held_request){.request = request, .host = (char *)"x"});
}

static void test_what_is_held(void **state)
{
    struct held_requests held = {};

    for (uint64_t i = 1; i <= GATE_HELD_MAX + 5; i++)
        hold(&held, i);
    assert_int_equal(held.count, GATE_HELD_MAX);
    held_requests_remove(&held, 1);
    held_requests_remove(&held, 1);
    held_requests_remove(&held, 0);
    held_requests_remove(&held, 7);
    assert_int_equal(held.count, GATE_HELD_MAX - 2);
    assert_int_equal(held.items[0].request, 2); /* the oldest stays first */
    assert_int_equal(held.items[5].request, 8);
    hold(&held, 1000);
    assert_int_equal(held.items[held.count - 1].request, 1000);
    held_requests_clear(&held);
    assert_int_equal(held.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_of_a_host_are_counted_together),
        cmocka_unit_test(test_what_does_not_fit_is_counted),
        cmocka_unit_test(test_counts_do_not_overflow),
        cmocka_unit_test(test_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
