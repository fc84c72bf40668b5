/* The rest of daemon/gate that is pure: the hosts table, the parent proxy's URI, the policy's
 * answer to a list of addresses, the tables of refusals and states, the heap of timers. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "daemon/gate/address-order.h"
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

/* Rules of these texts. */
static void parse_rules(struct allow_rule *rules, const char *const *texts, size_t n)
{
    const char *why;

    for (size_t i = 0; i < n; i++) {
        rules[i].text = (char *)texts[i];
        assert_int_equal(host_pattern_parse(texts[i], &rules[i].pattern, &why), 0);
    }
}

static struct host_pattern private_of(const char *text)
{
    struct host_pattern pattern;
    const char *why;

    assert_int_equal(host_pattern_parse(text, &pattern, &why), 0);
    pattern.any_port = true; /* as gate-config.c does it */
    return pattern;
}

static void test_policy(void **state)
{
    static const char *const rule_texts[] = {"*.example", "10.0.0.0/8:80", "localhost:80"};
    struct allow_rule rules[ARRAY_SIZE(rule_texts)];
    struct host_pattern privates[] = {private_of("private.example"), private_of("*.p.example")};
    struct gate_config config = {
        .allow = rules, .n_allow = 3, .private_hosts = privates, .n_private_hosts = 2};
    static const char *const texts[] = {"192.168.0.1", "8.8.8.8", "10.1.1.1",
                                        "127.0.0.1",   "2000::1", "::ffff:8.8.8.8"};
    struct ip_address addresses[ARRAY_SIZE(texts)], refused = {0};
    struct host name = host_of("a.example"), local = host_of("localhost");
    struct host private_host = host_of("private.example"), below = host_of("x.p.example"),
                apex = host_of("p.example");
    struct policy_fault fault = {0};
    char buffer[INET6_ADDRSTRLEN];

    parse_rules(rules, rule_texts, ARRAY_SIZE(rules));
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
    assert_string_equal(fault.what, "private");
    assert_null(fault.denial);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        addresses[i] = host_of(texts[i]).address;
    assert_int_equal(policy_filter_addresses(&config, &name, 80, addresses, 6, &refused, &fault),
                     4);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct ip_address address = host_of(texts[i]).address;
        assert_false(policy_address_fault(&config, &private_host, &address, 443, &fault));
        assert_false(policy_address_fault(&config, &below, &address, 5432, &fault));
        assert_int_equal(policy_address_fault(&config, &apex, &address, 443, &fault),
                         i != 1 && i != 4);
        assert_int_equal(policy_address_fault(&config, &local, &address, 80, &fault), i != 3);
    }
}

/* A name may have an address if any of its ports is allowed and not denied. */
static void test_names_that_may_have_an_address(void **state)
{
    static const char *const allowed[] = {"*.example", "git.test:22", "db.test:*", "10.0.0.0/8:80"};
    static const char *const denied[] = {"no.example",   "*.half.example:80", "git.test:23",
                                         "x.example:80", "x.example:443",     "db.test:1",
                                         "db.test:2",    "asked.test"};
    static const struct {
        const char *name;
        int entry; /* that denies it; -1: it is not allowed; -2: it is allowed */
    } cases[] = {
        {"a.example", -2},      {"b.a.example", -2}, {"example", -1},   {"git.test", -2},
        {"test", -1},           {"x.git.test", -1},  {"10.1.2.3", -2},  {"localhost", -1},
        {"11.1.2.3", -1},       {"no.example", 0},   {"db.test", -2},   {"example.com", -1},
        {"b.half.example", -2}, {"x.example", 4},    {"asked.test", 7},
    };
    struct allow_rule allow[ARRAY_SIZE(allowed)], deny[ARRAY_SIZE(denied)];
    struct gate_config config = {
        .allow = allow, .n_allow = ARRAY_SIZE(allow), .deny = deny, .n_deny = ARRAY_SIZE(deny)};
    const struct allow_rule *denial;

    parse_rules(allow, allowed, ARRAY_SIZE(allow));
    parse_rules(deny, denied, ARRAY_SIZE(deny));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct host host = host_of(cases[i].name);
        if (policy_name_is_allowed(&config, &host, &denial) != (cases[i].entry == -2))
            fail_msg("%s", cases[i].name);
        if (cases[i].entry != -2)
            assert_ptr_equal(denial, cases[i].entry < 0 ? NULL : &deny[cases[i].entry]);
    }
    config.ask_seconds = 5; /* an operator may allow what nothing is said about */
    assert_true(policy_name_is_allowed(&config, &(struct host){.name = "new.test"}, &denial));
    assert_false(policy_name_is_allowed(&config, &(struct host){.name = "asked.test"}, &denial));
    assert_ptr_equal(denial, &deny[7]);
    config.n_allow = 0;
    config.ask_seconds = 0;
    assert_false(policy_name_is_allowed(&config, &(struct host){.name = "a.example"}, &denial));
}

static void test_denials_win(void **state)
{
    static const char *const allowed[] = {"*.example:*", "0.0.0.0/0:*", "10.0.0.0/8:*",
                                          "localhost:*"};
    static const char *const denied[] = {"Evil.example.", "*.bad.example", "some.example:22",
                                         "10.6.6.0/24",   "8.8.8.8:53",    "[2620:1::]/32",
                                         "localhost:99"};
    struct allow_rule allow[ARRAY_SIZE(allowed)], deny[ARRAY_SIZE(denied)];
    struct host_pattern privates[] = {private_of("*.example")};
    struct gate_config config = {.allow = allow,
                                 .n_allow = ARRAY_SIZE(allow),
                                 .private_hosts = privates,
                                 .n_private_hosts = 1,
                                 .deny = deny,
                                 .n_deny = ARRAY_SIZE(deny)};
    static const struct {
        const char *host;
        uint16_t port;
        int entry; /* negative: none */
    } cases[] = {
        {"evil.example", 443, 0},
        {"evil.example", 8443, 0},
        {"a.evil.example", 443, -1},
        {"a.bad.example", 1, 1},
        {"bad.example", 443, -1},
        {"some.example", 22, 2},
        {"some.example", 443, -1},
        {"10.6.6.6", 5432, 3},
        {"10.6.7.6", 5432, -1},
        {"8.8.8.8", 53, 4},
        {"8.8.8.8", 443, -1},
        {"[2620:1::9]", 443, 5},
        {"localhost", 99, 6},
        {"127.0.0.1", 99, 6},
        {"[::1]", 99, 6},
        {"localhost", 98, -1},
        {"[::ffff:10.6.6.6]", 1, 3},
        {"[64:ff9b::10.6.6.6]", 1, 3},
        {"[2002:a06:606::1]", 1, 3},
        {"[::10.6.6.6]", 1, 3},
        {"[2001:0:a06:606::]", 1, 3},             /* as Teredo's server */
        {"[2001:0:808:808:0:0:f5f9:f9f9]", 1, 3}, /* as its client */
        {"[64:ff9b:1::a06:606]", 1, 3},
        {"0.0.0.0", 99, 6}, /* which connect(2) takes for loopback */
        {"[::]", 99, 6},
        {"[::ffff:0.0.0.0]", 99, 6},
        {"0.0.0.0", 98, -1},
    };
    struct policy_fault fault;

    parse_rules(allow, allowed, ARRAY_SIZE(allow));
    parse_rules(deny, denied, ARRAY_SIZE(deny));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct host host = host_of(cases[i].host), name = host_of("any.example");
        const struct allow_rule *want = cases[i].entry < 0 ? NULL : &deny[cases[i].entry];
        if (policy_find_denial(&config, &host, cases[i].port) != want)
            fail_msg("%s:%u", cases[i].host, cases[i].port);
        if (host.address.family == AF_UNSPEC)
            continue;
        /* The same when a name leads there, which may lead to private addresses. */
        fault = (struct policy_fault){0};
        assert_int_equal(policy_address_fault(&config, &name, &host.address, cases[i].port, &fault),
                         !!want);
        assert_ptr_equal(fault.denial, want);
        assert_null(fault.what);
    }
}

static const char *fault_of(const struct gate_config *config, const char *name,
                            const char *address_text, uint16_t port)
{
    struct host host = host_of(name), address = host_of(address_text);
    struct policy_fault fault;
    return policy_address_fault(config, &host, &address.address, port, &fault) ? fault.what : "";
}

static void test_addresses_of_this_host(void **state)
{
    static const char *const own_texts[] = {"11.1.1.1", "2600::1", "127.0.0.1", "10.0.0.1"};
    static const char *const texts[] = {"*.example:*", "11.0.0.0/8:*", "0.0.0.0/0:*",
                                        "10.0.0.0/8:*", "11.1.1.1:22"};
    struct allow_rule rules[ARRAY_SIZE(texts)];
    struct host_pattern private_host = private_of("p.example");
    struct ip_address addresses[ARRAY_SIZE(own_texts)];
    struct gate_config config = {.allow = rules,
                                 .n_allow = ARRAY_SIZE(rules),
                                 .private_hosts = &private_host,
                                 .n_private_hosts = 1};

    parse_rules(rules, texts, ARRAY_SIZE(rules));
    assert_string_equal(fault_of(&config, "a.example", "11.1.1.1", 443), "");
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
        addresses[i] = host_of(own_texts[i]).address;
    assert_int_equal(own_addresses_new(addresses, ARRAY_SIZE(addresses), &config.own), 0);
    assert_string_equal(fault_of(&config, "a.example", "11.1.1.1", 443), "an address of this host");
    assert_string_equal(fault_of(&config, "a.example", "2600::1", 443), "an address of this host");
    assert_string_equal(fault_of(&config, "11.1.1.1", "11.1.1.1", 443), "an address of this host");
    assert_string_equal(fault_of(&config, "a.example", "11.1.1.2", 443), "");
    /* listed by itself, or by the name; what is special goes by the rules for that */
    assert_string_equal(fault_of(&config, "a.example", "11.1.1.1", 22), "");
    assert_string_equal(fault_of(&config, "p.example", "11.1.1.1", 443), "");
    assert_string_equal(fault_of(&config, "a.example", "10.0.0.1", 443), "");
    assert_string_equal(fault_of(&config, "a.example", "127.0.0.1", 443), "loopback");
    config.own = own_addresses_free(config.own);
}

static void test_what_is_listed_with_an_address_inside(void **state)
{
    static const char *const texts[] = {"[64:ff9b::]/96:*", "[2002::]/16:*", "10.1.0.0/16:22",
                                        "[64:ff9b::a02:1]:23"};
    struct allow_rule rules[ARRAY_SIZE(texts)];
    struct ip_address own = host_of("11.1.1.1").address;
    struct host_pattern private_host = private_of("p.example");
    struct gate_config config = {.allow = rules,
                                 .n_allow = ARRAY_SIZE(rules),
                                 .private_hosts = &private_host,
                                 .n_private_hosts = 1};

    parse_rules(rules, texts, ARRAY_SIZE(rules));
    assert_int_equal(own_addresses_new(&own, 1, &config.own), 0);
    assert_string_equal(fault_of(&config, "a.example", "64:ff9b::8.8.8.8", 443), "");
    assert_string_equal(fault_of(&config, "a.example", "2002:808:808::1", 443), "");
    assert_string_equal(fault_of(&config, "a.example", "64:ff9b::127.0.0.1", 443), "loopback");
    assert_string_equal(fault_of(&config, "a.example", "2002:a9fe:a9fe::1", 443), "cloud metadata");
    assert_string_equal(fault_of(&config, "a.example", "64:ff9b::11.1.1.1", 443),
                        "an address of this host");
    assert_string_equal(fault_of(&config, "a.example", "64:ff9b::10.1.2.3", 443), "private");
    assert_string_equal(fault_of(&config, "a.example", "64:ff9b::10.1.2.3", 22), "");
    assert_string_equal(fault_of(&config, "a.example", "64:ff9b::10.2.0.1", 23), "");
    assert_string_equal(fault_of(&config, "p.example", "64:ff9b::10.1.2.3", 443), "");
    /* a private name is no consent to the machine's credentials */
    assert_string_equal(fault_of(&config, "p.example", "10.1.2.3", 443), "");
    assert_string_equal(fault_of(&config, "p.example", "169.254.169.254", 443), "cloud metadata");
    assert_string_equal(fault_of(&config, "p.example", "fd00:ec2::254", 443), "cloud metadata");
    assert_string_equal(fault_of(&config, "p.example", "64:ff9b::169.254.169.254", 443),
                        "cloud metadata");
    assert_string_equal(fault_of(&config, "a.example", "2001::1", 443), "Teredo");
    config.own = own_addresses_free(config.own);
}

static void test_policy_recheck(void **state)
{
    static const char *const texts[] = {"a.example:443", "10.0.0.0/8:80", "localhost:80"};
    struct allow_rule rules[ARRAY_SIZE(texts)];
    struct host_pattern private_host = private_of("a.example");
    struct gate_config config = {.allow = rules,
                                 .n_allow = ARRAY_SIZE(rules),
                                 .private_hosts = &private_host,
                                 .n_private_hosts = 1};
    struct gate_config nothing = {.n_allow = 0};
    struct host name = host_of("a.example"), other = host_of("b.example");
    struct host public = host_of("8.8.8.8"), private = host_of("10.1.1.1");
    struct endpoint to_80 = {host_of("127.0.0.1"), 80}, to_81 = {host_of("127.0.0.1"), 81};
    const struct {
        struct policy_subject subject;
        int rule; /* negative: none */
    } cases[] = {
        {{&name, 443, NULL, NULL}, 0},
        {{&name, 443, NULL, &public.address}, 0},
        {{&name, 443, NULL, &private.address}, 0}, /* in private_hosts */
        {{&name, 80, NULL, &public.address}, -1},
        {{&other, 443, NULL, &public.address}, -1},
        {{&private, 80, NULL, &private.address}, 1},
        {{&private, 80, NULL, NULL}, 1}, /* by a parent proxy */
        {{&private, 81, NULL, &private.address}, -1},
        {{&to_80.host, 80, &to_80, &to_80.host.address}, 2},
        {{&to_81.host, 81, &to_81, &to_81.host.address}, -1},
    };
    struct policy_fault fault;

    parse_rules(rules, texts, ARRAY_SIZE(texts));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct allow_rule *rule = policy_recheck(&config, &cases[i].subject, &fault);
        assert_ptr_equal(rule, cases[i].rule < 0 ? NULL : &rules[cases[i].rule]);
        assert_true(!fault.what && !fault.denial);
        assert_null(policy_recheck(&nothing, &cases[i].subject, &fault));
        assert_true(!fault.what && !fault.denial);
    }
    /* The name stays and the consent to its address goes. */
    config.n_private_hosts = 0;
    assert_null(policy_recheck(&config, &cases[2].subject, &fault));
    assert_string_equal(fault.what, "private");
    assert_ptr_equal(policy_recheck(&config, &cases[1].subject, &fault), &rules[0]);
    /* A denial comes: of the name, of the address that it led to, of a forward. */
    static const char *const denials[] = {"a.example", "8.8.0.0/16", "localhost"};
    static const size_t denied_cases[] = {0, 1, 8};
    for (size_t i = 0; i < ARRAY_SIZE(denials); i++) {
        struct allow_rule denial;
        parse_rules(&denial, &denials[i], 1);
        config.deny = &denial;
        config.n_deny = 1;
        assert_null(policy_recheck(&config, &cases[denied_cases[i]].subject, &fault));
        assert_ptr_equal(fault.denial, &denial);
        assert_ptr_equal(policy_recheck(&config, &cases[5].subject, &fault), &rules[1]);
    }
    config.n_deny = 0;
    /* A range that matches by name but is no consent to what is special in it. */
    static const char *const all[] = {"0.0.0.0/0:80"};
    parse_rules(rules, all, 1);
    config.n_allow = 1;
    assert_null(policy_recheck(&config, &cases[6].subject, &fault));
    assert_string_equal(fault.what, "private");
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
        cmocka_unit_test(test_refusals_are_told_as_they_were_asked_for),
        cmocka_unit_test(test_names_that_may_have_an_address),
        cmocka_unit_test(test_denials_win),
        cmocka_unit_test(test_addresses_of_this_host),
        cmocka_unit_test(test_what_is_listed_with_an_address_inside),
        cmocka_unit_test(test_order_of_addresses),
        cmocka_unit_test(test_each_family_has_its_share),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_responses_fit),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_the_rate_of_asking),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_policy_recheck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
