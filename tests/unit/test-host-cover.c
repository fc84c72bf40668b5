/* common/host-cover: which pattern lets through no more than another; by examples, and for every
 * pair of many patterns by what both match and list. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "address-class.h"
#include "host-pattern.h"
#include "util.h"

static struct host_pattern ceiling_of(const char *text)
{
    struct host_pattern pattern;
    const char *why = NULL;

    if (host_pattern_parse_ceiling(text, &pattern, &why) < 0)
        fail_msg("%s: %s", text, why);
    return pattern;
}

static void test_any_host_is_a_ceiling_alone(void **state)
{
    static const char *const bad[] = {"**",    "*a",      "*443", "*:",  "*:0", "*:70000", "*;",
                                      "*;sni", "*:443:1", "*/8",  "*@a", "*.",  "* ",      ""};
    struct host_pattern pattern;
    char text[HOST_PATTERN_TEXT_MAX];
    const char *why = NULL;

    assert_int_equal(host_pattern_parse("*", &pattern, &why), -EINVAL);
    assert_int_equal(host_pattern_parse("*:443", &pattern, &why), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        why = NULL;
        if (host_pattern_parse_ceiling(bad[i], &pattern, &why) != -EINVAL || !why)
            fail_msg("'%s' was taken", bad[i]);
    }
    pattern = ceiling_of("*");
    assert_int_equal(pattern.kind, HOST_PATTERN_ANY);
    assert_true(pattern.any_port && !pattern.any_sni);
    assert_string_equal(host_pattern_format(&pattern, text), "*:*");
    pattern = ceiling_of("*:443;sni=any");
    assert_true(pattern.port == 443 && !pattern.any_port && pattern.any_sni);
    assert_string_equal(host_pattern_format(&pattern, text), "*:443;sni=any");
    assert_int_equal(ceiling_of("*.example.com").kind, HOST_PATTERN_SUBDOMAINS);
}

static void test_what_covers_what(void **state)
{
    static const struct {
        const char *ceiling, *entry;
        bool covers;
    } rows[] = {
        {"a.example", "a.example", true},
        {"a.example", "A.EXAMPLE.", true},
        {"a.example", "b.a.example", false},
        {"www.example.com", "*.example.com", false},
        {"www.example.com", "*.www.example.com", false},
        {"*.example.com", "example.com", false},
        {"*.example.com", "www.example.com", true},
        {"*.example.com", "a.b.example.com", true},
        {"*.example.com", "notexample.com", false},
        {"*.example.com", "*.example.com", true},
        {"*.example.com", "*.a.example.com", true},
        {"*.a.example.com", "*.example.com", false},
        {"*.a.example.com", "a.example.com", false},
        /* ports */
        {"a.example", "a.example:443", true},
        {"a.example", "a.example:22", false},
        {"a.example", "a.example:*", false},
        {"a.example:443", "a.example", false},
        {"a.example:443", "a.example:443", true},
        {"a.example:443", "a.example:444", false},
        {"a.example:*", "a.example", true},
        {"a.example:*", "a.example:*", true},
        {"*", "a.example:*", true},
        {"*:443", "a.example", false},
        {"*:443", "10.0.0.0/8:443", true},
        {"*:*", "localhost:*", true},
        /* options */
        {"a.example", "a.example;sni=any", false},
        {"a.example;sni=any", "a.example;sni=any", true},
        {"a.example;sni=any", "a.example", true},
        {"*", "a.example;sni=any", false},
        /* addresses */
        {"*.example", "10.0.0.1", false},
        {"10.0.0.0/8", "a.example", false},
        {"10.0.0.0/8", "10.0.0.0/8", true},
        {"10.0.0.0/8", "10.255.0.0/16", true},
        {"10.0.0.0/8", "10.0.0.0/7", false},
        {"10.0.0.0/8", "11.0.0.0/8", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "8.0.0.0/6", true},
        {"0.0.0.0/0", "10.0.0.0/8", false},
        {"0.0.0.0/0", "0.0.0.0/0", true},
        {"8.0.0.0/6", "10.0.0.1", false},
        {"169.254.0.0/16", "169.254.1.0/24", true},
        {"169.254.0.0/16", "169.254.169.254", false},
        {"169.254.169.254", "169.254.169.254", true},
        {"100.64.0.0/10", "100.100.100.200", false},
        {"fc00::/7", "[fd00::1]", true},
        {"fc00::/7", "[fd00:ec2::254]", false},
        {"168.0.0.0/8", "168.63.129.16", false},
        {"[::]/0", "10.0.0.1", false},
        {"[::]/0", "[2001:4860:4860::8888]", true},
        {"[::]/0", "[2001:db8::]/32", false},
        {"[::]/96", "[::]/96", true},
        {"[::]/0", "[::]/96", false},
        {"localhost", "127.0.0.1", false},
        {"127.0.0.0/8", "localhost", false},
        {"localhost:*", "localhost:22", true},
        /* what embeds an address is consent to wherever that leads */
        {"[64:ff9b::]/96", "[64:ff9b::a9fe:a9fe]", false},
        {"[64:ff9b::]/96", "[64:ff9b::]/96", true},
        {"[64:ff9b::a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", true},
        {"*", "[64:ff9b::a9fe:a9fe]", true},
        {"[2002::]/16", "[2002:a9fe:a9fe::1]", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct host_pattern ceiling = ceiling_of(rows[i].ceiling);
        struct host_pattern entry = ceiling_of(rows[i].entry);
        if (host_pattern_covers(&ceiling, &entry) != rows[i].covers)
            fail_msg("%s over %s", rows[i].ceiling, rows[i].entry);
    }
}

static void test_what_is_special(void **state)
{
    static const char *const special[] = {
        "localhost",       "LOCALHOST.:80", "127.0.0.1",  "10.0.0.0/8",      "10.1.0.0/16:22",
        "169.254.169.254", "168.63.129.16", "[::1]",      "[fd00::]/8",      "[::]/96",
        "[::]/80",         "2001::/23",     "0.0.0.0/8",  "192.0.0.0/24",    "[64:ff9b::]/96",
        "[fe80::]/9",      "[4000::]/2",    "[8000::]/1", "255.255.255.255",
    };
    static const char *const other[] = {
        "a.example",    "*.localhost", "a.localhost", "8.8.8.8", "0.0.0.0/0",        "8.0.0.0/6",
        "192.0.0.0/16", "[2000::]/3",  "[::]/0",      "[::]/1",  "[2606:4700::]/32",
    };

    for (size_t i = 0; i < ARRAY_SIZE(special) + ARRAY_SIZE(other); i++) {
        bool is = i < ARRAY_SIZE(special);
        const char *text = is ? special[i] : other[i - ARRAY_SIZE(special)];
        struct host_pattern entry = ceiling_of(text);
        if (host_pattern_is_special(&entry) != is)
            fail_msg("%s", text);
    }
}

/* -- every pair -- */

static const char *const hosts[] = {
    "*",
    "localhost",
    "example",
    "a.example",
    "b.a.example",
    "c.b.a.example",
    "xa.example",
    "*.example",
    "*.a.example",
    "*.b.a.example",
    "*.localhost",
    "0.0.0.0/0",
    "8.0.0.0/6",
    "8.8.8.8",
    "10.0.0.0/8",
    "10.0.0.0/7",
    "10.128.0.0/9",
    "10.0.0.1",
    "11.0.0.1",
    "127.0.0.0/8",
    "127.0.0.1",
    "127.1.2.3",
    "128.0.0.0/1",
    "168.0.0.0/6",
    "168.63.129.16",
    "169.254.0.0/16",
    "169.254.169.0/24",
    "169.254.169.254",
    "169.254.1.1",
    "192.0.0.0/16",
    "192.0.0.0/24",
    "192.0.2.1",
    "100.64.0.0/10",
    "100.100.100.200",
    "224.0.0.0/3",
    "[::]/0",
    "[::]/1",
    "[::]/80",
    "[::]/96",
    "[::1]",
    "[::]",
    "[2000::]/3",
    "[2001::]/16",
    "[2001::]/23",
    "[2001::]/32",
    "[2001:db8::1]",
    "[2606:4700::1111]",
    "[fc00::]/7",
    "[fd00::]/8",
    "[fd00:ec2::254]",
    "[fd00::1]",
    "[fe80::]/9",
    "[fe80::]/10",
    "[64:ff9b::]/96",
    "[64:ff9b::a00:1]",
    "[2002::]/16",
    "[2002:a00:1::1]",
};
static const char *const ports[] = {"", ":80", ":443", ":22", ":*"};
static const uint16_t numbers[] = {22, 80, 443, 8443};

#define N_PATTERNS (ARRAY_SIZE(hosts) * ARRAY_SIZE(ports))

static struct host_pattern pattern_at(size_t i)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "%s%s", hosts[i / ARRAY_SIZE(ports)],
                   ports[i % ARRAY_SIZE(ports)]);
    return ceiling_of(text);
}

/* Hosts at which two patterns can differ: each pattern's own, one inside and one outside of it. */
#define SAMPLES_MAX (3 * ARRAY_SIZE(hosts))
static struct host samples[SAMPLES_MAX];
static size_t n_samples;

static void sample_add(const char *text)
{
    const char *why = NULL;

    if (host_parse(text, strlen(text), &samples[n_samples], &why) == 0)
        n_samples++;
}

static void samples_make(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        struct host_pattern pattern = ceiling_of(hosts[i]);
        char text[HOST_PATTERN_TEXT_MAX];
        struct ip_address last = pattern.network;
        if (pattern.kind == HOST_PATTERN_ANY)
            continue;
        sample_add(pattern.name);
        if (pattern.kind != HOST_PATTERN_NETWORK) {
            (void)snprintf(text, sizeof(text), "sub.%.200s", pattern.name);
            sample_add(text);
            continue;
        }
        unsigned bits = last.family == AF_INET ? 32 : 128;
        for (unsigned bit = pattern.prefix_length; bit < bits; bit++)
            last.v6.s6_addr[bit / 8] |= (uint8_t)(1 << (7 - bit % 8));
        sample_add(ip_address_format(&last, text));
        for (unsigned byte = 1; byte < bits / 8; byte++) /* neither end: not a row of its own */
            last.v6.s6_addr[byte] ^= byte == bits / 8 - 1 ? 0x15 : 0;
        sample_add(ip_address_format(&last, text));
    }
}

static bool matches(const struct host_pattern *pattern, const struct host *host, uint16_t port)
{
    if (pattern->kind == HOST_PATTERN_ANY)
        return pattern->any_port || pattern->port == port;
    return host_pattern_matches(pattern, host, port);
}

static bool lists(const struct host_pattern *pattern, const struct host *host, uint16_t port)
{
    if (host->address.family == AF_UNSPEC)
        return false;
    if (pattern->kind == HOST_PATTERN_ANY)
        return pattern->any_port || pattern->port == port;
    return host_pattern_lists_address(pattern, &host->address, port);
}

static bool is_within(const struct host_pattern *ceiling, const struct host_pattern *entry)
{
    for (size_t h = 0; h < n_samples; h++) {
        for (size_t p = 0; p < ARRAY_SIZE(numbers); p++) {
            if (matches(entry, &samples[h], numbers[p]) &&
                !matches(ceiling, &samples[h], numbers[p]))
                return false;
            if (lists(entry, &samples[h], numbers[p]) && !lists(ceiling, &samples[h], numbers[p]))
                return false;
        }
    }
    return true;
}

static bool lists_anything(const struct host_pattern *entry)
{
    for (size_t h = 0; h < n_samples; h++)
        for (size_t p = 0; p < ARRAY_SIZE(numbers); p++)
            if (lists(entry, &samples[h], numbers[p]))
                return true;
    return false;
}

/* Where it says no though all that we can see is within: consent to an embedded address; and ranges
 * of special addresses that list none, being wider than every block of them. */
static bool may_be_stricter(const struct host_pattern *entry)
{
    struct ip_address embedded[ADDRESS_EMBEDDED_MAX];

    return entry->kind == HOST_PATTERN_NETWORK &&
           (address_embedded(&entry->network, embedded) > 0 || !lists_anything(entry));
}

static void test_every_pair_is_as_what_both_let_through(void **state)
{
    size_t n_covered = 0, n_within = 0;

    samples_make();
    assert_true(n_samples > ARRAY_SIZE(hosts));
    for (size_t c = 0; c < N_PATTERNS; c++) {
        for (size_t e = 0; e < N_PATTERNS; e++) {
            struct host_pattern ceiling = pattern_at(c), entry = pattern_at(e);
            bool covers = host_pattern_covers(&ceiling, &entry);
            bool within = is_within(&ceiling, &entry);
            char c_text[HOST_PATTERN_TEXT_MAX], e_text[HOST_PATTERN_TEXT_MAX];
            if (covers != within && (covers || !may_be_stricter(&entry)))
                fail_msg("%s over %s: %d", host_pattern_format(&ceiling, c_text),
                         host_pattern_format(&entry, e_text), covers);
            n_covered += covers;
            n_within += within;
        }
    }
    assert_true(n_covered > N_PATTERNS);
    assert_true(n_within < n_covered + n_covered / 2);
}

static void test_which_names_meet(void **state)
{
    static const struct {
        const char *a, *b;
        bool meet;
    } rows[] = {
        {"a.example", "a.example:22", true},     {"a.example", "b.example", false},
        {"*.example", "a.example", true},        {"*.example", "example", false},
        {"*.a.example", "*.example", true},      {"*.a.example", "*.b.example", false},
        {"*.a.example", "b.a.example:22", true}, {"*:443", "a.example:22", true},
        {"10.0.0.1", "10.0.0.1", false},         {"*", "10.0.0.0/8", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct host_pattern a = ceiling_of(rows[i].a), b = ceiling_of(rows[i].b);
        if (host_pattern_names_meet(&a, &b) != rows[i].meet ||
            host_pattern_names_meet(&b, &a) != rows[i].meet)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_host_is_a_ceiling_alone),
        cmocka_unit_test(test_what_covers_what),
        cmocka_unit_test(test_what_is_special),
        cmocka_unit_test(test_which_names_meet),
        cmocka_unit_test(test_every_pair_is_as_what_both_let_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
