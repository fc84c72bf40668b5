/* common/host-pattern: canonical hosts, authorities, patterns, and what matches what. */
#include "unit-test.h"

#include <arpa/inet.h>

#include "host-pattern.h"
#include "util.h"

static const char untouched[] = "untouched";

static void test_hosts(void **state)
{
    static const struct {
        const char *text, *name;
        sa_family_t family;
    } good[] = {
        {"example.com", "example.com", AF_UNSPEC},
        {"EXAMPLE.Com.", "example.com", AF_UNSPEC},
        {"localhost", "localhost", AF_UNSPEC},
        {"a_b.x-y.example", "a_b.x-y.example", AF_UNSPEC},
        {"xn--bcher-kva.example", "xn--bcher-kva.example", AF_UNSPEC},
        {"1.2.3.4.example", "1.2.3.4.example", AF_UNSPEC},
        {"0x.example", "0x.example", AF_UNSPEC},
        {"XN--MGBH0FB.xn--kgbechtv.", "xn--mgbh0fb.xn--kgbechtv", AF_UNSPEC},
        {"xn--i-7iq.ws", "xn--i-7iq.ws", AF_UNSPEC},
        {"xn--ls8h.la", "xn--ls8h.la", AF_UNSPEC}, /* beyond the first plane */
        {"r3---sn-a.example", "r3---sn-a.example", AF_UNSPEC},
        {"1a", "1a", AF_UNSPEC},
        {"1.2.3.4", "1.2.3.4", AF_INET},
        {"255.255.255.255", "255.255.255.255", AF_INET},
        {"::1", "::1", AF_INET6},
        {"[::1]", "::1", AF_INET6},
        {"[2001:DB8:0:0:0:0:0:1]", "2001:db8::1", AF_INET6},
        {"[::ffff:1.2.3.4]", "::ffff:1.2.3.4", AF_INET6},
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct host host;
        const char *why = untouched;
        if (host_parse(good[i].text, strlen(good[i].text), &host, &why) < 0)
            fail_msg("%s: %s", good[i].text, why);
        assert_string_equal(host.name, good[i].name);
        assert_int_equal(host.address.family, good[i].family);
    }
}

static void test_hosts_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        ".a",
        "a..b",
        "a...",
        "-a",
        "a-",
        "a.-b",
        "a b",
        "a/b",
        "a:b",
        "a@b",
        "a%41",
        "*",
        "*.a",
        "a\tb",
        "a\x01",
        "a\x7f",
        "\xc3\xbc.example",
        "01.2.3.4",
        "1.2.3",
        "1",
        "1.2.3.4.",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.0x4",
        "0x7f000001",
        "0x",
        "017700000001",
        "a.1",
        "a.0x1f",
        "a.0X",
        "1.2.3.+4",
        "1.2.3. 4",
        "[",
        "[]",
        "[::1",
        "::1]",
        "[1.2.3.4]",
        "[::1%lo]",
        "fe80::1%eth0",
        "[::1]x",
        ":::",
        "1::2::3",
        "12345::",
        "[::1.2.3]",
        "[a.b]",
        "xn--",
        "a.xn--",
        "xn--a",
        "xn--a-",
        "XN--abc-",
        "xn---a",
        "xn--a_b",
        "xn--99999999",
        "xn--a-zzzzz9999",
        "xn--a-b-c-d9",
        "xn--\xc3\xbc",
        ("b\xc3\xbc"
         "cher"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct host host = {.name = "before"};
        const char *why = NULL;
        if (host_parse(bad[i], strlen(bad[i]), &host, &why) != -EINVAL || !why)
            fail_msg("\"%s\" was accepted as %s", bad[i], host.name);
        assert_string_equal(host.name, "before");
    }
}

static void test_host_bytes(void **state)
{
    struct host host;
    const char *why;
    char text[HOST_NAME_MAX_LENGTH + 8];

    assert_int_equal(host_parse("a\0b", 3, &host, &why), -EINVAL);
    assert_int_equal(host_parse("1.2.3.4\0", 8, &host, &why), -EINVAL);
    assert_int_equal(host_parse("[::1\0]", 6, &host, &why), -EINVAL);
    assert_int_equal(host_parse("example.com", 7, &host, &why), 0);
    assert_string_equal(host.name, "example");

    memset(text, 'a', sizeof(text));
    for (size_t i = 63; i < sizeof(text); i += 64)
        text[i] = '.';
    assert_int_equal(host_parse(text, 253, &host, &why), 0);
    assert_int_equal(strlen(host.name), 253);
    text[253] = '.';
    assert_int_equal(host_parse(text, 254, &host, &why), 0);
    text[253] = 'a';
    assert_int_equal(host_parse(text, 254, &host, &why), -EINVAL);
    text[63] = 'a';
    assert_int_equal(host_parse(text, 64, &host, &why), -EINVAL);
    assert_int_equal(host_parse(text, 63, &host, &why), 0);
}

static void test_ports(void **state)
{
    static const char *const bad[] = {"",       "0",  "01", "65536", "99999",
                                      "100000", "-1", "+1", "1x",    " 1"};
    uint16_t port = 7;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(host_port_parse(bad[i], strlen(bad[i]), &port), -EINVAL);
    assert_int_equal(port, 7);
    assert_int_equal(host_port_parse("1", 1, &port), 0);
    assert_int_equal(port, 1);
    assert_int_equal(host_port_parse("65535", 5, &port), 0);
    assert_int_equal(port, 65535);
}

static int authority(const char *text, uint16_t default_port, struct host *host, uint16_t *port)
{
    const char *why;
    return host_authority_parse(text, strlen(text), default_port, host, port, &why);
}

static void test_authorities(void **state)
{
    static const char *const bad[] = {"",      ":",       ":80",        "a:",      "a:0",
                                      "a:b:1", "u@a:1",   "u:p@a:1",    "::1:80",  "[::1]80",
                                      "[::1",  "[::1]:x", "[::1]:80:1", "a:80:81", "a:8 0"};
    struct host host;
    uint16_t port;

    assert_int_equal(authority("A.example:8080", 0, &host, &port), 0);
    assert_string_equal(host.name, "a.example");
    assert_int_equal(port, 8080);
    assert_int_equal(authority("[::1]:443", 0, &host, &port), 0);
    assert_string_equal(host.name, "::1");
    assert_int_equal(authority("[::1]", 80, &host, &port), 0);
    assert_int_equal(port, 80);
    assert_int_equal(authority("a.example", 0, &host, &port), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (authority(bad[i], 80, &host, &port) != -EINVAL)
            fail_msg("\"%s\" was accepted", bad[i]);
}

static void test_patterns(void **state)
{
    static const struct {
        const char *text;
        enum host_pattern_kind kind;
        const char *name;
        unsigned prefix_length;
        uint16_t port;
        bool any_port, any_sni;
    } good[] = {
        {"api.example.com", HOST_PATTERN_NAME, "api.example.com", 0, 0},
        {"API.example.com.:443", HOST_PATTERN_NAME, "api.example.com", 0, 443},
        {"*.Example.com:8080", HOST_PATTERN_SUBDOMAINS, "example.com", 0, 8080},
        {"*.internal", HOST_PATTERN_SUBDOMAINS, "internal", 0, 0},
        {"localhost:1", HOST_PATTERN_NAME, "localhost", 0, 1},
        {"10.1.2.3", HOST_PATTERN_NETWORK, "10.1.2.3", 32, 0},
        {"10.0.0.0/8:22", HOST_PATTERN_NETWORK, "10.0.0.0", 8, 22},
        {"0.0.0.0/0", HOST_PATTERN_NETWORK, "0.0.0.0", 0, 0},
        {"[::1]", HOST_PATTERN_NETWORK, "::1", 128, 0},
        {"[2001:db8::]:8080", HOST_PATTERN_NETWORK, "2001:db8::", 128, 8080},
        {"[fd00::]/8:443", HOST_PATTERN_NETWORK, "fd00::", 8, 443},
        {"fd00::/8", HOST_PATTERN_NETWORK, "fd00::", 8, 0},
        {"fd00::/8:443", HOST_PATTERN_NETWORK, "fd00::", 8, 443},
        {"a.example:*", HOST_PATTERN_NAME, "a.example", 0, 0, .any_port = true},
        {"*.a.example:*", HOST_PATTERN_SUBDOMAINS, "a.example", 0, 0, .any_port = true},
        {"localhost:*", HOST_PATTERN_NAME, "localhost", 0, 0, .any_port = true},
        {"10.1.2.3:*", HOST_PATTERN_NETWORK, "10.1.2.3", 32, 0, .any_port = true},
        {"10.0.0.0/8:*", HOST_PATTERN_NETWORK, "10.0.0.0", 8, 0, .any_port = true},
        {"[::1]:*", HOST_PATTERN_NETWORK, "::1", 128, 0, .any_port = true},
        {"fd00::/8:*", HOST_PATTERN_NETWORK, "fd00::", 8, 0, .any_port = true},
        {"a.example;sni=any", HOST_PATTERN_NAME, "a.example", 0, 0, .any_sni = true},
        {"*.a.example:443;sni=any", HOST_PATTERN_SUBDOMAINS, "a.example", 0, 443, false, true},
        {"[fd00::]/8:*;sni=any", HOST_PATTERN_NETWORK, "fd00::", 8, 0, true, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct host_pattern p;
        const char *why;
        if (host_pattern_parse(good[i].text, &p, &why) < 0)
            fail_msg("%s: %s", good[i].text, why);
        assert_int_equal(p.kind, good[i].kind);
        assert_string_equal(p.name, good[i].name);
        assert_int_equal(p.prefix_length, good[i].prefix_length);
        assert_int_equal(p.port, good[i].port);
        assert_int_equal(p.any_port, good[i].any_port);
        assert_int_equal(p.any_sni, good[i].any_sni);
        assert_int_equal(host_pattern_has_options(&p), good[i].any_sni);
    }
}

static void test_patterns_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "*",
        "*.",
        "*:443",
        "a.*",
        "*a.example",
        "*.*.example",
        "a.example:**",
        "a.example:*0",
        "a.example:*:*",
        "a.*:*",
        "*:*",
        "a.example*",
        "10.0.0.*",
        "10.0.0.0/*",
        "10.0.0.0/8:**",
        "[::1]*",
        "[fd00::]/8*",
        ";sni=any",
        "a.example;",
        "a.example;;sni=any",
        "a.example;sni=any;",
        "a.example;sni=any;sni=any",
        "a.example;sni=ANY",
        "a.example;SNI=any",
        "a.example;sni",
        "a.example; sni=any",
        "a.example;sni=any:443",
        "a.example;sni=any/8",
        "a.example;tls=off",
        "10.0.0.0;sni=any/8",
        "xn--a.example",
        "*.xn--abc-.example",
        ("b\xc3\xbc"
         "cher.example"),
        "a.example:0",
        "a.example:70000",
        "a.example:",
        "http://a.example",
        "http://a.example/",
        "a.example/",
        "a.example/24",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.1/8",
        "10.0.0.0/8:",
        "10.0.0.0/8/8",
        "[fd00::]/129",
        "[fd00::1]/64",
        "[fd00::/8]",
        "::1",
        "fd00::1",
        "fd00::1:443",
        "*.1.2.3.4",
        "*.[::1]",
        "1.2.3",
        "0x7f.1",
        "[::ffff:1.2.3.4]",
        "[::ffff:0:0]/96",
        "::ffff:0:0/96",
        "a b",
        "a,b",
        "user@a",
        " a",
        "a ",
        "a\n",
        "[fe80::1%eth0]",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct host_pattern p = {.port = 77};
        const char *why = NULL;
        if (host_pattern_parse(bad[i], &p, &why) != -EINVAL || !why)
            fail_msg("\"%s\" was accepted", bad[i]);
        assert_int_equal(p.port, 77);
    }
}

static const char *why_refused(const char *text)
{
    struct host_pattern p;
    const char *why = "";
    assert_int_equal(host_pattern_parse(text, &p, &why), -EINVAL);
    return why;
}

static void test_what_to_write_instead_is_said(void **state)
{
    assert_non_null(strstr(why_refused("b\xc3\xbc"
                                       "cher.example"),
                           "xn--"));
    assert_non_null(strstr(why_refused("xn--a.example"), "xn--"));
    assert_non_null(strstr(why_refused("a.example;tls=off"), "\";sni=any\""));
    assert_non_null(strstr(why_refused("a.example:x"), "\"*\" for every port"));
    assert_non_null(strstr(why_refused("::1"), "[2001:db8::1]"));
    assert_non_null(strstr(why_refused("[::ffff:1.2.3.4]"), "IPv4 address itself"));
    assert_non_null(strstr(why_refused("[fe80::1%eth0]"), "zone ids"));
}

/* Every way to write an entry has one canonical text, which stands for the same. */
static void test_canonical_texts(void **state)
{
    static const char *const pairs[][2] = {
        {"API.Example.com.", "api.example.com"},
        {"*.Example.COM.:8080", "*.example.com:8080"},
        {"localhost:*", "localhost:*"},
        {"10.1.2.3/32:22", "10.1.2.3:22"},
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"0.0.0.0/0:*", "0.0.0.0/0:*"},
        {"[2001:DB8:0:0::1]/128:443;sni=any", "[2001:db8::1]:443;sni=any"},
        {"FD00::/8:*;sni=any", "[fd00::]/8:*;sni=any"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char text[HOST_PATTERN_TEXT_MAX], again[HOST_PATTERN_TEXT_MAX];
        struct host_pattern p, q;
        const char *why;
        assert_int_equal(host_pattern_parse(pairs[i][0], &p, &why), 0);
        assert_string_equal(host_pattern_format(&p, text), pairs[i][1]);
        assert_int_equal(host_pattern_parse(text, &q, &why), 0);
        assert_string_equal(host_pattern_format(&q, again), text);
        assert_true(host_pattern_is_same(&p, &q));
    }
}

static bool same(const char *a, const char *b)
{
    struct host_pattern p, q;
    const char *why;
    assert_int_equal(host_pattern_parse(a, &p, &why), 0);
    assert_int_equal(host_pattern_parse(b, &q, &why), 0);
    return host_pattern_is_same(&p, &q);
}

static void test_the_same_entry(void **state)
{
    assert_true(same("A.example:443", "a.example.:443"));
    assert_true(same("a.example", "a.example;sni=any"));
    assert_true(same("10.0.0.1", "10.0.0.1/32"));
    assert_false(same("a.example", "a.example:443"));
    assert_false(same("a.example", "a.example:*"));
    assert_false(same("a.example", "*.a.example"));
    assert_false(same("10.0.0.0/8", "10.0.0.0/9"));
    assert_false(same("10.0.0.0/8", "10.0.0.0"));
    assert_false(same("[::]/0", "0.0.0.0/0"));
}

static bool matches(const char *pattern, const char *host_text, uint16_t port)
{
    struct host_pattern p;
    struct host host;
    const char *why;
    assert_int_equal(host_pattern_parse(pattern, &p, &why), 0);
    assert_int_equal(host_parse(host_text, strlen(host_text), &host, &why), 0);
    return host_pattern_matches(&p, &host, port);
}

static void test_matching(void **state)
{
    assert_true(matches("a.example", "A.EXAMPLE.", 443));
    assert_true(matches("a.example", "a.example", 80));
    assert_false(matches("a.example", "a.example", 8080));
    assert_false(matches("a.example:8080", "a.example", 443));
    assert_true(matches("a.example:8080", "a.example", 8080));
    assert_false(matches("a.example", "b.a.example", 443));
    assert_false(matches("a.example", "aa.example", 443));
    assert_false(matches("a.example", "a.example.org", 443));
    assert_true(matches("*.a.example", "b.a.example", 443));
    assert_true(matches("*.a.example", "c.b.a.example", 443));
    assert_false(matches("*.a.example", "a.example", 443));
    assert_false(matches("*.a.example", "ba.example", 443));
    assert_false(matches("*.a.example", "xa.example", 443));
    assert_true(matches("a.example:*", "a.example", 443));
    assert_true(matches("a.example:*", "a.example", 1));
    assert_true(matches("a.example:*", "a.example", 65535));
    assert_false(matches("a.example:*", "a.example", 0));
    assert_false(matches("a.example:*", "b.example", 443));
    assert_true(matches("*.a.example:*", "b.a.example", 22));
    assert_false(matches("*.a.example:*", "a.example", 22));
    assert_true(matches("10.0.0.0/8:*", "10.1.2.3", 22));
    assert_false(matches("10.0.0.0/8", "10.1.2.3", 22));
    assert_true(matches("a.example:22;sni=any", "a.example", 22));
    assert_false(matches("a.example;sni=any", "a.example", 22));
    assert_true(matches("10.0.0.0/8", "10.1.2.3", 443));
    assert_false(matches("10.0.0.0/8", "11.0.0.0", 443));
    assert_true(matches("[fd00::]/8", "[fd12::1]", 443));
    /* a name never by an address, an address never by a name */
    assert_false(matches("localhost", "127.0.0.1", 443));
    assert_false(matches("127.0.0.1", "localhost", 443));
    assert_false(matches("0.0.0.0/0", "a.example", 443));
    /* not in the other family's clothes either */
    assert_false(matches("[::]/0", "[::ffff:10.0.0.1]", 443));
    assert_false(matches("10.0.0.0/8", "[::ffff:10.0.0.1]", 443));
    assert_false(matches("[::]/0", "10.0.0.1", 443));
}

static bool lists(const char *pattern, const char *address_text, uint16_t port)
{
    struct host_pattern p;
    struct host host;
    const char *why;
    assert_int_equal(host_pattern_parse(pattern, &p, &why), 0);
    assert_int_equal(host_parse(address_text, strlen(address_text), &host, &why), 0);
    return host_pattern_lists_address(&p, &host.address, port);
}

static void test_listing(void **state)
{
    assert_true(lists("localhost:8080", "127.0.0.1", 8080));
    assert_true(lists("localhost:8080", "[::1]", 8080));
    assert_false(lists("localhost:8080", "127.0.0.1", 8081));
    assert_false(lists("localhost", "10.0.0.1", 80));
    assert_false(lists("a.example", "127.0.0.1", 80));
    assert_false(lists("*.localhost", "127.0.0.1", 80));
    assert_true(lists("10.0.0.0/8", "10.2.3.4", 80));
    assert_true(lists("10.0.0.0/8:*", "10.2.3.4", 5432));
    assert_true(lists("localhost:*", "127.0.0.1", 5432));
    assert_false(lists("0.0.0.0/0:*", "10.2.3.4", 5432));
    assert_true(lists("10.2.0.0/16", "10.2.3.4", 80));
    assert_true(lists("8.8.8.0/24", "8.8.8.8", 80));
    assert_true(lists("0.0.0.0/0", "8.8.8.8", 80));
    /* a range that merely covers a special block lists nothing of it */
    assert_false(lists("0.0.0.0/0", "10.2.3.4", 80));
    assert_false(lists("8.0.0.0/6", "10.2.3.4", 80));
    assert_false(lists("0.0.0.0/0", "127.0.0.1", 80));
    assert_false(lists("169.254.0.0/16", "169.254.169.254", 80));
    assert_true(lists("169.254.0.0/16", "169.254.1.1", 80));
    assert_true(lists("169.254.169.254", "169.254.169.254", 80));
    assert_false(lists("[::]/0", "[fd00::1]", 80));
    assert_true(lists("[fc00::]/7", "[fd00::1]", 80));
    assert_false(lists("[::]/0", "[::ffff:127.0.0.1]", 80));
    assert_false(lists("localhost", "[::ffff:127.0.0.1]", 80));
}

static void test_format(void **state)
{
    char buffer[INET6_ADDRSTRLEN];
    struct ip_address none = {.family = AF_UNSPEC};
    assert_string_equal(ip_address_format(&none, buffer), "");
    none = (struct ip_address){.family = AF_INET6, .v6 = IN6ADDR_LOOPBACK_INIT};
    assert_string_equal(ip_address_format(&none, buffer), "::1");
}

/* Each byte's every value, at each place. */
static void test_addresses_are_written_as_by_inet_ntop(void **state)
{
    char ours[INET6_ADDRSTRLEN], theirs[INET6_ADDRSTRLEN];

    for (unsigned shift = 0; shift < 32; shift += 8)
        for (uint32_t byte = 0; byte < 256; byte++) {
            struct ip_address address = {.family = AF_INET};
            address.v4.s_addr = htonl(0x0b63c8ffu ^ byte << shift);
            assert_string_equal(ip_address_format(&address, ours),
                                inet_ntop(AF_INET, &address.v4, theirs, sizeof(theirs)));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_hosts_refused),
        cmocka_unit_test(test_host_bytes),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_patterns_refused),
        cmocka_unit_test(test_what_to_write_instead_is_said),
        cmocka_unit_test(test_canonical_texts),
        cmocka_unit_test(test_the_same_entry),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_listing),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_addresses_are_written_as_by_inet_ntop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
