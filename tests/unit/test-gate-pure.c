/* The rest of daemon/gate that is pure: the hosts table, the parent proxy's URI, the policy's
 * answer to a list of addresses, the tables of refusals and states, the heap of timers. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "daemon/gate/connection.h"
#include "daemon/gate/hosts-file.h"
#include "daemon/gate/policy.h"
#include "daemon/gate/refusal.h"

static void test_hosts_table(void **state)
{
    static const char text[] =
        "127.0.0.1\tlocalhost # x\r\n  ::1 localhost ip6-localhost\n"
        "#1.1.1.1 commented\n1.2.3.4\n300.1.1.1 bad\n10.0.0.1 A.Example. b#c\n"
        "fe80::1%lo zone\n10.0.0.2 -bad- good\n10.0.0.3 last";
    struct ip_address found[4];
    char buffer[INET6_ADDRSTRLEN];
    struct hosts_table *table;

    assert_int_equal(hosts_table_parse(text, sizeof(text) - 1, &table), 0);
    assert_int_equal(hosts_table_find(table, "localhost", found, 4), 2);
    assert_string_equal(ip_address_format(&found[0], buffer), "127.0.0.1");
    assert_string_equal(ip_address_format(&found[1], buffer), "::1");
    assert_int_equal(hosts_table_find(table, "localhost", found, 1), 1);
    assert_int_equal(hosts_table_find(table, "a.example", found, 4), 1);
    assert_int_equal(hosts_table_find(table, "b", found, 4), 1);
    assert_int_equal(hosts_table_find(table, "good", found, 4), 1);
    assert_int_equal(hosts_table_find(table, "last", found, 4), 1);
    static const char *const missing[] = {"commented", "bad", "zone", "c", "1.2.3.4", ""};
    for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
        assert_int_equal(hosts_table_find(table, missing[i], found, 4), 0);
    hosts_table_free(table);
    assert_int_equal(hosts_table_find(NULL, "localhost", found, 4), 0);
}

static void test_parent_uri(void **state)
{
    static const struct {
        const char *uri, *host, *authorization;
        uint16_t port;
    } good[] = {
        {"http://proxy.example:3128", "proxy.example", NULL, 3128},
        {"http://10.0.0.1:80/", "10.0.0.1", NULL, 80},
        {"http://user:pass@[::1]:1", "::1", "Basic dXNlcjpwYXNz", 1},
        {"http://us%65r:p%40s@a:1", "a", "Basic dXNlcjpwQHM=", 1},
        {"http://a@b:c@d:1", "d", "Basic YUBiOmM=", 1},
        {"http://u@a:1", "a", "Basic dQ==", 1},
        {"http://:@a:1", "a", "Basic Og==", 1},
    };
    static const char *const bad[] = {
        "",
        "a:1",
        "https://a:1",
        "HTTP//a:1",
        "http://",
        "http://a",
        "http://a:0",
        "http://a:1/x",
        "http://u%0a@a:1",
        "http://u%4@a:1",
        "http://u%@a:1",
        "http://u%zz@a:1",
        "http://u%\x10q@a:1",
        "http://a b:1",
    };
    struct endpoint endpoint;
    const char *why;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        char *authorization = NULL;
        assert_int_equal(gate_parent_parse(good[i].uri, &endpoint, &authorization, &why), 0);
        assert_string_equal(endpoint.host.name, good[i].host);
        assert_int_equal(endpoint.port, good[i].port);
        assert_true(streq_null(authorization, good[i].authorization));
        free(authorization);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *authorization = NULL;
        if (gate_parent_parse(bad[i], &endpoint, &authorization, &why) != -EBADMSG)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_null(authorization);
    }
}

static struct host host_of(const char *text)
{
    struct host host;
    const char *why;
    assert_int_equal(host_parse(text, strlen(text), &host, &why), 0);
    return host;
}

static void test_policy(void **state)
{
    struct allow_rule rules[3] = {{.text = (char *)"*.example"},
                                  {.text = (char *)"10.0.0.0/8:80"},
                                  {.text = (char *)"localhost:80"}};
    struct host private_host = host_of("private.example");
    struct gate_config config = {
        .allow = rules, .n_allow = 3, .private_hosts = &private_host, .n_private_hosts = 1};
    static const char *const texts[] = {"192.168.0.1", "8.8.8.8", "10.1.1.1",
                                        "127.0.0.1",   "2000::1", "::ffff:8.8.8.8"};
    struct ip_address addresses[ARRAY_SIZE(texts)], refused = {0};
    struct host name = host_of("a.example"), local = host_of("localhost");
    const char *why, *fault = NULL;
    char buffer[INET6_ADDRSTRLEN];

    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        assert_int_equal(host_pattern_parse(rules[i].text, &rules[i].pattern, &why), 0);
    assert_ptr_equal(policy_find_rule(&config, &name, 443), &rules[0]);
    assert_null(policy_find_rule(&config, &name, 22));
    assert_ptr_equal(policy_find_rule(&config, &local, 80), &rules[2]);
    assert_null(policy_find_rule(&config, &local, 443));

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        addresses[i] = host_of(texts[i]).address;
    assert_int_equal(policy_filter_addresses(&config, &name, 443, addresses, 6, &refused, &fault),
                     2);
    assert_string_equal(ip_address_format(&addresses[0], buffer), "8.8.8.8");
    assert_string_equal(ip_address_format(&addresses[1], buffer), "2000::1");
    assert_string_equal(ip_address_format(&refused, buffer), "192.168.0.1");
    assert_string_equal(fault, "private");

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        addresses[i] = host_of(texts[i]).address;
    assert_int_equal(policy_filter_addresses(&config, &name, 80, addresses, 6, &refused, &fault),
                     4);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct ip_address address = host_of(texts[i]).address;
        assert_null(policy_address_fault(&config, &private_host, &address, 443));
        assert_int_equal(policy_address_fault(&config, &local, &address, 80) == NULL, i == 3);
    }
}

/* Rules of these texts, by which `config` goes. */
static void set_rules(struct gate_config *config, struct allow_rule *rules,
                      const char *const *texts, size_t n)
{
    const char *why;

    for (size_t i = 0; i < n; i++) {
        rules[i].text = (char *)texts[i];
        assert_int_equal(host_pattern_parse(texts[i], &rules[i].pattern, &why), 0);
    }
    config->allow = rules;
    config->n_allow = n;
}

static void test_policy_recheck(void **state)
{
    static const char *const texts[] = {"a.example:443", "10.0.0.0/8:80", "localhost:80"};
    struct allow_rule rules[ARRAY_SIZE(texts)];
    struct host private_host = host_of("a.example");
    struct gate_config config = {.private_hosts = &private_host, .n_private_hosts = 1};
    struct gate_config nothing = {.n_allow = 0};
    struct host name = host_of("a.example"), other = host_of("b.example");
    struct host public = host_of("8.8.8.8"), private = host_of("10.1.1.1");
    struct endpoint to_80 = {host_of("127.0.0.1"), 80}, to_81 = {host_of("127.0.0.1"), 81};
    const struct {
        struct policy_subject subject;
        int rule; /* negative: none */
        const char *fault;
    } cases[] = {
        {{&name, 443, NULL, NULL}, 0, NULL},
        {{&name, 443, NULL, &public.address}, 0, NULL},
        {{&name, 443, NULL, &private.address}, 0, NULL}, /* in private_hosts */
        {{&name, 80, NULL, &public.address}, -1, NULL},
        {{&other, 443, NULL, &public.address}, -1, NULL},
        {{&private, 80, NULL, &private.address}, 1, NULL},
        {{&private, 80, NULL, NULL}, 1, NULL}, /* by a parent proxy */
        {{&private, 81, NULL, &private.address}, -1, NULL},
        {{&to_80.host, 80, &to_80, &to_80.host.address}, 2, NULL},
        {{&to_81.host, 81, &to_81, &to_81.host.address}, -1, NULL},
    };
    const char *fault = "untouched";

    set_rules(&config, rules, texts, ARRAY_SIZE(texts));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct allow_rule *rule = policy_recheck(&config, &cases[i].subject, &fault);
        assert_ptr_equal(rule, cases[i].rule < 0 ? NULL : &rules[cases[i].rule]);
        assert_true(streq_null(fault, cases[i].fault));
        assert_null(policy_recheck(&nothing, &cases[i].subject, &fault));
        assert_null(fault);
    }
    /* The name stays and the consent to its address goes. */
    config.n_private_hosts = 0;
    assert_null(policy_recheck(&config, &cases[2].subject, &fault));
    assert_string_equal(fault, "private");
    assert_ptr_equal(policy_recheck(&config, &cases[1].subject, &fault), &rules[0]);
    /* A range that matches by name but is no consent to what is special in it. */
    static const char *const all[] = {"0.0.0.0/0:80"};
    set_rules(&config, rules, all, 1);
    assert_null(policy_recheck(&config, &cases[6].subject, &fault));
    assert_string_equal(fault, "private");
}

static void test_refusals(void **state)
{
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        enum refusal refusal = REFUSAL_COUNT;
        const char *code = refusal_code((enum refusal)i);
        assert_int_equal(refusal_from_code(code, &refusal), 0);
        assert_int_equal(refusal, i);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz-"), strlen(code));
    }
    enum refusal refusal;
    assert_int_equal(refusal_from_code("no-such-code", &refusal), -EINVAL);
}

static void test_responses_fit(void **state)
{
    char buffer[REFUSAL_RESPONSE_MAX];
    static char longest[256], detail[8000];
    memset(longest, 'a', sizeof(longest) - 1);
    memset(detail, '"', sizeof(detail) - 1);
    struct refusal_context context = {longest, longest, 65535, longest, detail, false, false, NULL};

    for (int i = 0; i < 2 * REFUSAL_COUNT; i++) {
        context.json = i % 2;
        size_t size = refusal_response((enum refusal)(i / 2), &context, buffer);
        assert_true(size < sizeof(buffer));
        buffer[size] = '\0';
        const char *body = strstr(buffer, "\r\n\r\n");
        const char *length = strstr(buffer, "Content-Length: ");
        assert_non_null(body);
        assert_non_null(length);
        assert_int_equal(strtoul(length + strlen("Content-Length: "), NULL, 10), strlen(body + 4));
        if (context.json)
            assert_string_equal(buffer + size - 4, "\"}}\n"); /* never cut */
    }
}

static void test_refusals_are_told_as_they_were_asked_for(void **state)
{
    char buffer[REFUSAL_RESPONSE_MAX];
    struct refusal_context context = {
        .agent_id = "x", .host = "::1", .port = 81, .rule = "", .json = true};

    size_t size = refusal_response(REFUSAL_HOST_NOT_ALLOWED, &context, buffer);
    buffer[size] = '\0';
    assert_string_equal(
        strstr(buffer, "\r\n\r\n") + 4,
        "{\"error\":{\"code\":\"host-not-allowed\",\"message\":\"caged refused [::1]:81 for the "
        "agent "
        "\\\"x\\\": no entry of allowed_hosts in the agent's card matches this host and port.\","
        "\"host\":\"::1\",\"port\":81,\"rule\":null,\"advice\":\"To allow it, the agent's operator "
        "can add "
        "\\\"[::1]:81\\\" to allowed_hosts in the card of x, or run: cagectl allow x [::1]:81\","
        "\"agent_id\":\"x\",\"docs\":\"cagedd(8), section REFUSALS\"}}\n");
    assert_non_null(strstr(buffer, "\r\nContent-Type: application/json\r\n"));
    assert_null(strstr(buffer, "Connection"));

    context = (struct refusal_context){.agent_id = "x",
                                       .host = "",
                                       .rule = "",
                                       .detail = "\"\\\x1b\xff",
                                       .json = true,
                                       .connection = "close"};
    size = refusal_response(REFUSAL_BAD_REQUEST, &context, buffer);
    buffer[size] = '\0';
    assert_non_null(strstr(buffer, "(\\\"\\\\?"
                                   "?).\",\"host\":null,\"port\":null,"));
    assert_non_null(strstr(buffer, "\r\nConnection: close\r\n\r\n"));

    context.head_alone = true; /* the length of what a GET would have had, and nothing behind it */
    size_t head = refusal_response(REFUSAL_BAD_REQUEST, &context, buffer);
    assert_memory_equal(buffer + head - 4, "\r\n\r\n", 4);
    size_t length =
        strtoul(strstr(buffer, "Content-Length: ") + strlen("Content-Length: "), NULL, 10);
    assert_int_equal(head + length, size);
}

static void test_states(void **state)
{
    for (int i = 0; i < CONNECTION_STATE_COUNT; i++) {
        enum connection_state found = CONNECTION_STATE_COUNT;
        const char *name = connection_state_to_string((enum connection_state)i);
        assert_non_null(name);
        assert_int_equal(connection_state_from_string(name, &found), 0);
        assert_int_equal(found, i);
    }
    enum connection_state found;
    assert_int_equal(connection_state_from_string("nothing", &found), -EINVAL);
}

static void heap_check(const struct event_loop *loop)
{
    for (size_t i = 1; i <= loop->n_timers; i++) {
        assert_int_equal(loop->heap[i - 1]->position, i);
        assert_true(i == 1 || loop->heap[i / 2 - 1]->deadline <= loop->heap[i - 1]->deadline);
    }
}

static void test_timers(void **state)
{
    enum { COUNT = 200 };
    static struct timer timers[COUNT];
    struct event_loop loop;
    unsigned seed = 1;

    assert_int_equal(event_loop_init(&loop, COUNT), 0);
    for (int i = 0; i < 20000; i++) {
        struct timer *timer = &timers[(unsigned)rand_r(&seed) % COUNT];
        if (rand_r(&seed) % 3 == 0)
            timer_clear(&loop, timer);
        else
            timer_set(&loop, timer, (uint64_t)rand_r(&seed) % 100000);
        heap_check(&loop);
    }
    size_t set = 0;
    for (int i = 0; i < COUNT; i++)
        set += timers[i].position != 0;
    assert_int_equal(set, loop.n_timers);
    event_loop_deinit(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_table),
        cmocka_unit_test(test_parent_uri),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_responses_fit),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_refusals_are_told_as_they_were_asked_for),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_policy_recheck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
