/* common/address-class: every row of the tables by an address inside it, its edges, what is
 * globally routable, and every row of the registries (special-addresses.txt). */
#include "unit-test.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "address-class.h"
#include "util.h"

static struct ip_address parse(const char *text)
{
    struct ip_address a = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
    assert_int_equal(inet_pton(a.family, text, &a.v6), 1);
    return a;
}

static const struct {
    const char *address;
    const char *name; /* NULL: globally routable */
    unsigned prefix_length;
} cases[] = {
    {"0.0.0.0", "unspecified or this network", 8},
    {"0.255.255.255", "unspecified or this network", 8},
    {"1.0.0.0", NULL, 0},
    {"9.255.255.255", NULL, 0},
    {"10.0.0.0", "private", 8},
    {"10.255.255.255", "private", 8},
    {"11.0.0.0", NULL, 0},
    {"100.63.255.255", NULL, 0},
    {"100.64.0.0", "shared (CGNAT)", 10},
    {"100.127.255.255", "shared (CGNAT)", 10},
    {"100.128.0.0", NULL, 0},
    {"100.100.100.200", "cloud metadata", 32},
    {"126.255.255.255", NULL, 0},
    {"127.0.0.1", "loopback", 8},
    {"127.255.255.255", "loopback", 8},
    {"128.0.0.0", NULL, 0},
    {"168.63.129.15", NULL, 0},
    {"168.63.129.16", "cloud metadata", 32},
    {"169.253.255.255", NULL, 0},
    {"169.254.0.1", "link-local", 16},
    {"169.254.0.23", "cloud metadata", 32},
    {"169.254.42.42", "cloud metadata", 32},
    {"169.254.169.254", "cloud metadata", 32},
    {"169.254.170.2", "cloud metadata", 32},
    {"169.254.170.23", "cloud metadata", 32},
    {"169.255.0.0", NULL, 0},
    {"172.15.255.255", NULL, 0},
    {"172.16.0.0", "private", 12},
    {"172.31.255.255", "private", 12},
    {"172.32.0.0", NULL, 0},
    {"192.0.0.191", "IETF protocol assignment", 24},
    {"192.0.0.192", "cloud metadata", 32},
    {"192.0.1.0", NULL, 0},
    {"192.0.2.1", "documentation", 24},
    {"192.88.99.1", "6to4 relay", 24},
    {"192.167.255.255", NULL, 0},
    {"192.168.0.0", "private", 16},
    {"192.168.255.255", "private", 16},
    {"192.169.0.0", NULL, 0},
    {"198.17.255.255", NULL, 0},
    {"198.18.0.0", "benchmarking", 15},
    {"198.19.255.255", "benchmarking", 15},
    {"198.20.0.0", NULL, 0},
    {"198.51.100.7", "documentation", 24},
    {"203.0.113.7", "documentation", 24},
    {"223.255.255.255", NULL, 0},
    {"224.0.0.0", "multicast", 4},
    {"239.255.255.255", "multicast", 4},
    {"240.0.0.0", "reserved", 4},
    {"255.255.255.254", "reserved", 4},
    {"255.255.255.255", "broadcast", 32},
    {"8.8.8.8", NULL, 0},
    {"::", "unspecified", 128},
    {"::1", "loopback", 128},
    {"::2", "IPv4-compatible", 96},
    {"::7f00:1", "IPv4-compatible", 96},
    {"::ffff:8.8.8.8", "IPv4-mapped", 96},
    {"::ffff:127.0.0.1", "IPv4-mapped", 96},
    {"::ffff:0:127.0.0.1", "IPv4-translated", 96},
    {"64:ff9b::8.8.8.8", "NAT64", 96},
    {"64:ff9b::7f00:1", "NAT64", 96},
    {"64:ff9b:1::1", "NAT64", 48},
    {"64:ff9b:2::1", "not global unicast", 3},
    {"100::1", "discard-only", 64},
    {"100:0:0:1::1", "dummy prefix", 64},
    {"1fff:ffff::", "not global unicast", 3},
    {"2000::", NULL, 0},
    {"2001::1", "Teredo", 32},
    {"2001:2::1", "IETF protocol assignment", 23},
    {"2001:10::1", "IETF protocol assignment", 23},
    {"2001:1ff:ffff::", "IETF protocol assignment", 23},
    {"2001:200::", NULL, 0},
    {"2001:db8::1", "documentation", 32},
    {"2001:4860:4860::8888", NULL, 0},
    {"2002:7f00:1::1", "6to4", 16},
    {"2002:808:808::1", "6to4", 16},
    {"2003::", NULL, 0},
    {"2620:4f:8000::1", NULL, 0},
    {"3fff::1", "documentation", 20},
    {"3fff:1000::", NULL, 0},
    {"4000::", "not global unicast", 3},
    {"5f00::1", "segment routing", 16},
    {"fc00::1", "private (unique local)", 7},
    {"fd00:ec2::254", "cloud metadata", 128},
    {"fd00:ec2::23", "cloud metadata", 128},
    {"fd20:ce::254", "cloud metadata", 128},
    {"fd00:42::42", "cloud metadata", 128},
    {"fd00:c1::a9fe:a9fe", "cloud metadata", 128},
    {"fe80::a9fe:a9fe", "cloud metadata", 128},
    {"fdff:ffff::1", "private (unique local)", 7},
    {"fe80::1", "link-local", 10},
    {"febf::1", "link-local", 10},
    {"fec0::1", "site-local", 10},
    {"ff02::1", "multicast", 8},
};

static void test_tables(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_address address = parse(cases[i].address);
        unsigned length = 0;
        const char *name = address_special_block(&address, &length);
        if (!streq_null(name, cases[i].name) || length != cases[i].prefix_length)
            fail_msg("%s is \"%s\"/%u", cases[i].address, name ? name : "global", length);
        assert_true(streq_null(address_special(&address), cases[i].name));
    }
}

/* -- the registries -- */

/* What the registries call globally reachable and is refused all the same. */
static const char *const refused_though_reachable[] = {
    "192.0.0.9/32",  "192.0.0.10/32", "64:ff9b::/96",    "2001:1::1/128", "2001:1::2/128",
    "2001:1::3/128", "2001:3::/32",   "2001:4:112::/48", "2001:20::/28",  "2001:30::/28",
};

static bool is_refused_though_reachable(const char *block)
{
    for (size_t i = 0; i < ARRAY_SIZE(refused_though_reachable); i++)
        if (streq(block, refused_though_reachable[i]))
            return true;
    return false;
}

/* The address of the block whose bits behind the prefix are all `bit`, or by turns. */
static struct ip_address address_in(const struct ip_address *network, unsigned length, int bit)
{
    struct ip_address address = *network;
    unsigned bits = network->family == AF_INET ? 32 : 128;

    for (unsigned i = length; i < bits; i++)
        if (bit == 1 || (bit == 2 && i % 2))
            address.v6.s6_addr[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return address;
}

static void check_row(const char *block, const char *reachable)
{
    bool special = !streq(reachable, "true") || is_refused_though_reachable(block);
    char text[64];
    unsigned length, found;

    assert_true(streq(reachable, "true") || streq(reachable, "false") || streq(reachable, "none"));
    assert_int_equal(sscanf(block, "%63[0-9a-f.:]/%u", text, &length), 2);
    struct ip_address network = parse(text);
    for (int bit = 0; bit <= 2; bit++) {
        struct ip_address address = address_in(&network, length, bit);
        if ((address_special_block(&address, &found) != NULL) != special)
            fail_msg("%s is %s (bits %d)", block, special ? "not special" : "special", bit);
    }
}

static void test_every_row_of_the_registries(void **state)
{
    FILE *file = fopen(SPECIAL_ADDRESSES, "re");
    char line[256], block[64], reachable[16];
    size_t rows = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (line[0] == '#')
            continue;
        assert_int_equal(sscanf(line, "%63s %15s", block, reachable), 2);
        check_row(block, reachable);
        rows++;
    }
    (void)fclose(file);
    assert_int_equal(rows, 53);
}

/* -- embedded addresses -- */

static void test_embedded_addresses(void **state)
{
    static const struct {
        const char *address, *first, *second;
    } rows[] = {
        {"::ffff:10.1.2.3", "10.1.2.3", NULL},
        {"::ffff:0:10.1.2.3", "10.1.2.3", NULL},
        {"::10.1.2.3", "10.1.2.3", NULL},
        {"64:ff9b::10.1.2.3", "10.1.2.3", NULL},
        {"64:ff9b:1::10.1.2.3", "10.1.2.3", NULL},
        {"2002:a01:203:4::5", "10.1.2.3", NULL},
        {"2001:0:a01:203:0:ffff:f5fe:fdfc", "10.1.2.3", "10.1.2.3"},
        {"2001:0:808:808:0:0:80ff:fffe", "8.8.8.8", "127.0.0.1"},
        {"2001:db8::a01:203", NULL, NULL},
        {"fe80::10.1.2.3", NULL, NULL},
        {"10.1.2.3", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *const wanted[] = {rows[i].first, rows[i].second};
        struct ip_address address = parse(rows[i].address), found[ADDRESS_EMBEDDED_MAX];
        size_t n = address_embedded(&address, found);
        char text[INET6_ADDRSTRLEN];
        assert_int_equal(n, (rows[i].first != NULL) + (rows[i].second != NULL));
        for (size_t k = 0; k < n; k++)
            assert_string_equal(ip_address_format(&found[k], text), wanted[k]);
    }
}

static void test_not_an_address(void **state)
{
    struct ip_address none = {.family = AF_UNSPEC};
    assert_non_null(address_special(&none));
    none.family = AF_UNIX;
    assert_non_null(address_special(&none));
    assert_false(address_in_network(&none, &none, 0));
}

static void test_networks(void **state)
{
    struct ip_address a = parse("10.1.2.3"), b = parse("10.1.2.2"), six = parse("fd00::1");
    assert_true(address_in_network(&a, &b, 31));
    assert_false(address_in_network(&a, &b, 32));
    assert_true(address_in_network(&a, &b, 0));
    assert_false(address_in_network(&a, &b, 33));
    assert_false(address_in_network(&a, &six, 0));
    assert_true(address_in_network(&six, &six, 128));
    assert_false(address_in_network(&six, &six, 129));
}

static void test_kinds(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", "127.9.9.9", "::1"};
    static const char *const others[] = {"128.0.0.1", "10.0.0.1", "::", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < ARRAY_SIZE(loopback); i++) {
        struct ip_address address = parse(loopback[i]);
        assert_true(address_is_loopback(&address));
        assert_false(address_is_mapped(&address));
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct ip_address address = parse(others[i]);
        assert_false(address_is_loopback(&address));
        assert_int_equal(address_is_mapped(&address), i == 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_every_row_of_the_registries),
        cmocka_unit_test(test_embedded_addresses),
        cmocka_unit_test(test_not_an_address),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
