/* What a gate's configuration says of hosts and of addresses: what is allowed, what is denied
 * whatever allows it, what is special, and what of that holds for a connection that is open. */
#include "unit-test.h"

#include "daemon/gate/policy.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_names_that_may_have_an_address),
        cmocka_unit_test(test_denials_win),
        cmocka_unit_test(test_addresses_of_this_host),
        cmocka_unit_test(test_what_is_listed_with_an_address_inside),
        cmocka_unit_test(test_policy_recheck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
