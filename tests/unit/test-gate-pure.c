/* Small pieces of daemon/gate that are pure: the hosts table, the parent proxy's URI, the order of
 * addresses, the rate of asking, the table of states. */
#include "unit-test.h"

#include <arpa/inet.h>

#include "daemon/gate/address-order.h"
#include "daemon/gate/connection.h"
#include "daemon/gate/hosts-file.h"

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

/* "6a 6b 4a": the family and which one it is. */
static size_t make_addresses(const char *text, struct ip_address *addresses)
{
    size_t n = 0;

    for (const char *p = text; *p; p += p[2] ? 3 : 2) {
        addresses[n] = (struct ip_address){.family = p[0] == '4' ? AF_INET : AF_INET6};
        addresses[n++].v6.s6_addr[3] = (uint8_t)p[1];
    }
    return n;
}

static void test_order_of_addresses(void **state)
{
    static const struct {
        const char *before, *by_v6, *by_v4;
    } cases[] = {
        {"", "", ""},
        {"4a", "4a", "4a"},
        {"6a", "6a", "6a"},
        {"4a 6a", "6a 4a", "4a 6a"},
        {"4a 4b 4c", "4a 4b 4c", "4a 4b 4c"},
        {"4a 4b 6a 6b", "6a 4a 6b 4b", "4a 6a 4b 6b"},
        {"4a 4b 4c 6a", "6a 4a 4b 4c", "4a 6a 4b 4c"},
        {"6a 6b 6c 4a 6d", "6a 4a 6b 6c 6d", "4a 6a 6b 6c 6d"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int v6 = 0; v6 <= 1; v6++) {
            const char *text = v6 ? cases[i].by_v6 : cases[i].by_v4;
            struct ip_address before[8] = {0}, wanted[8] = {0};
            size_t n = make_addresses(cases[i].before, before);
            assert_int_equal(make_addresses(text, wanted), n);
            address_order(before, n, v6 ? AF_INET6 : AF_INET);
            assert_memory_equal(before, wanted, sizeof(wanted));
        }
}

static void test_each_family_has_its_share(void **state)
{
    assert_int_equal(address_share_v4(3, 3, 16), 3);
    assert_int_equal(address_share_v4(30, 0, 16), 16);
    assert_int_equal(address_share_v4(30, 1, 16), 15);
    assert_int_equal(address_share_v4(30, 30, 16), 8);
    assert_int_equal(address_share_v4(2, 30, 16), 2);
    assert_int_equal(address_share_v4(0, 30, 16), 0);
}

static void test_the_rate_of_asking(void **state)
{
    struct ask_bucket bucket = {0};
    uint64_t now = 7000000;
    int n = 0;

    while (ask_bucket_take(&bucket, now))
        n++;
    assert_int_equal(n, GATE_HELD_BURST);
    assert_false(ask_bucket_take(&bucket, now + 1000000 / GATE_HELD_PER_SECOND - 1));
    assert_true(ask_bucket_take(&bucket, now + 1000000 / GATE_HELD_PER_SECOND));
    n = 0;
    for (now += 1000000; now <= 107000000; now += 1000)
        n += ask_bucket_take(&bucket, now);
    assert_in_range(n, 99 * GATE_HELD_PER_SECOND, 100 * GATE_HELD_PER_SECOND);
    /* It is never more than full. */
    now += UINT64_C(1) << 60;
    for (n = 0; ask_bucket_take(&bucket, now); n++)
        ;
    assert_int_equal(n, GATE_HELD_BURST);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_table),
        cmocka_unit_test(test_parent_uri),
        cmocka_unit_test(test_order_of_addresses),
        cmocka_unit_test(test_each_family_has_its_share),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_the_rate_of_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
