/* daemon/gate/client-hello, hello-filter and tls-port: hellos of real clients (the fuzz target's
 * seeds) whole and in pieces, every way in which one is cut short or wrong, and what may pass for
 * which host and port. */
#include "unit-test.h"

#include <fcntl.h>
#include <stdio.h>

#include "caged-limits.h"
#include "daemon/gate/hello-filter.h"
#include "daemon/gate/tls-port.h"

static size_t read_seed(const char *name, char *data, size_t allocated)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", HELLO_SEEDS, name);
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, data, allocated);
    assert_in_range(n, 1, allocated - 1);
    return (size_t)n;
}

static enum client_hello_status read_whole(const void *data, size_t size,
                                           struct client_hello *hello)
{
    struct client_hello_reader reader = {0};
    const char *why = NULL;
    enum client_hello_status status = client_hello_read(&reader, data, size, hello, &why);
    assert_int_equal(why != NULL, status != CLIENT_HELLO_MORE && status != CLIENT_HELLO_DONE);
    return status;
}

static const struct {
    const char *seed;
    enum client_hello_status status;
    const char *name; /* NULL: it has none; "": one that is no host */
} seeds[] = {
    {"openssl", CLIENT_HELLO_DONE, "a.example"},
    {"openssl-no-name", CLIENT_HELLO_DONE, NULL},
    {"openssl-tls12", CLIENT_HELLO_DONE, "a.example"},
    {"openssl-tls10", CLIENT_HELLO_DONE, "a.example"},
    {"openssl-in-records", CLIENT_HELLO_DONE, "a.example"},
    {"curl", CLIENT_HELLO_DONE, "a.example"},
    {"python", CLIENT_HELLO_DONE, "a.example"},
    {"post-quantum", CLIENT_HELLO_DONE, "a.example"},
    {"post-quantum-in-records", CLIENT_HELLO_DONE, "a.example"},
    {"in-records-of-3", CLIENT_HELLO_DONE, "a.example"},
    {"with-early-data", CLIENT_HELLO_DONE, "a.example"},
    {"address-name", CLIENT_HELLO_DONE, "11.22.33.44"},
    {"nul-name", CLIENT_HELLO_DONE, ""},
    {"two-names", CLIENT_HELLO_MALFORMED, NULL},
    {"two-extensions", CLIENT_HELLO_MALFORMED, NULL},
    {"empty-name", CLIENT_HELLO_MALFORMED, NULL},
    {"empty-list", CLIENT_HELLO_MALFORMED, NULL},
    {"other-type", CLIENT_HELLO_MALFORMED, NULL},
    {"sslv2", CLIENT_HELLO_NOT_TLS, NULL},
    {"ssh", CLIENT_HELLO_NOT_TLS, NULL},
};

static void check_hello(const struct client_hello *hello, const char *name)
{
    assert_int_equal(hello->has_name, name != NULL);
    assert_string_equal(hello->name.name, name ? name : "");
    assert_int_equal(hello->name_fault != NULL, name && !*name);
}

static void test_real_hellos(void **state)
{
    char data[8192];

    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        size_t size = read_seed(seeds[i].seed, data, sizeof(data));
        struct client_hello hello = {0};
        assert_int_equal(read_whole(data, size, &hello), seeds[i].status);
        check_hello(&hello, seeds[i].name);
    }
}

static void test_any_cut_reads_like_the_whole(void **state)
{
    char data[8192];

    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
        size_t size = read_seed(seeds[i].seed, data, sizeof(data));
        struct client_hello_reader bytewise = {0};
        enum client_hello_status status = CLIENT_HELLO_MORE;
        struct client_hello hello = {0};
        const char *why;
        for (size_t n = 0; n <= size && status == CLIENT_HELLO_MORE; n++)
            status = client_hello_read(&bytewise, data, n, &hello, &why);
        assert_int_equal(status, seeds[i].status);
        check_hello(&hello, seeds[i].name);
        if (i == 0) /* one record: nothing is known before its last byte */
            for (size_t n = 0; n < size; n++)
                assert_int_equal(read_whole(data, n, &hello), CLIENT_HELLO_MORE);
    }
}

/* A hello made by hand: `body` behind the two heads. */
static size_t wrap(char *out, const void *body, size_t size)
{
    const unsigned char head[] = {22, 3, 1,         (size + 4) >> 8, (size + 4) & 255,
                                  1,  0, size >> 8, size & 255};
    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), body, size);
    return sizeof(head) + size;
}

#define RANDOM "0123456789abcdef0123456789abcdef"
#define START "\3\3" RANDOM "\0\0\2\x13\1\1\0"

static void test_wrong_lengths_are_malformed(void **state)
{
    static const struct {
        const char *body;
        size_t size;
    } bad[] = {
#define BODY(text) {text, sizeof(text) - 1}
        BODY(""),
        BODY("\3\3"),
        BODY("\3\3" RANDOM),
        BODY("\2\0" RANDOM "\0\0\2\x13\1\1\0"),              /* SSL 2 within TLS */
        BODY("\3\3" RANDOM "\1"),                            /* session id */
        BODY("\3\3" RANDOM "\x21" RANDOM "x\0\2\x13\1\1\0"), /* of 33 bytes */
        BODY("\3\3" RANDOM "\0\0\0\1\0"),                    /* no suite */
        BODY("\3\3" RANDOM "\0\0\3\x13\1\x13\1\0"),          /* one and a half */
        BODY("\3\3" RANDOM "\0\0\x40\x13\1\1\0"),            /* more than there are */
        BODY("\3\3" RANDOM "\0\0\2\x13\1\0"),                /* no compression method */
        BODY(START "\0"),                                    /* half a length */
        BODY(START "\0\1"),                                  /* of what is not there */
        BODY(START "\0\0x"),                                 /* more behind them */
        BODY(START "\0\3\0\0\0"),                            /* half an extension */
        BODY(START "\0\4\0\0\0\1"),                          /* longer than the list */
        BODY(START "\0\4\0\0\0\0"),                          /* a server's form of the name */
        BODY(START "\0\7\0\0\0\3\0\0\0"),                    /* list of 0, more behind it */
        BODY(START "\0\6\0\0\0\2\0\5"),                      /* list of 5 in an extension of 2 */
        BODY(START "\0\x9\0\0\0\5\0\3\0\0\2"),               /* name longer than its list */
        BODY(START "\0\xa\0\0\0\6\0\4\0\0\0a"),              /* and an empty one, with more */
#undef BODY
    };
    char data[256];
    struct client_hello hello;

    assert_int_equal(read_whole(data, wrap(data, START, sizeof(START) - 1), &hello),
                     CLIENT_HELLO_DONE);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(read_whole(data, wrap(data, bad[i].body, bad[i].size), &hello),
                         CLIENT_HELLO_MALFORMED);
}

static void test_a_name_must_be_a_host(void **state)
{
    static const struct {
        const char *name, *canonical;
    } names[] = {{"A.Example.", "a.example"},
                 {"a.example", "a.example"},
                 {"a..example", ""},
                 {"a example", ""},
                 {".", ""},
                 {"::1", "::1"},
                 {"1.2.3", ""},
                 {"user@a.example", ""}};
    struct client_hello hello;
    char data[512], body[400];

    for (size_t i = 0; i < ARRAY_SIZE(names) + 2; i++) {
        char name[260];
        size_t size = 253 + i - ARRAY_SIZE(names) + 1; /* the last two: 254 and 255 bytes */
        bool made = i >= ARRAY_SIZE(names);
        memset(name, 'a', sizeof(name));
        for (size_t at = 50; at < 253; at += 51)
            name[at] = '.';
        name[253] = '.';
        if (!made) {
            size = strlen(names[i].name);
            memcpy(name, names[i].name, size);
        }
        size_t start = sizeof(START) - 1;
        memcpy(body, START, start);
        const unsigned char head[] = {
            (size + 9) >> 8, (size + 9) & 255, 0, 0,         (size + 5) >> 8, (size + 5) & 255,
            (size + 3) >> 8, (size + 3) & 255, 0, size >> 8, size & 255};
        memcpy(body + start, head, sizeof(head));
        memcpy(body + start + sizeof(head), name, size);
        assert_int_equal(read_whole(data, wrap(data, body, start + sizeof(head) + size), &hello),
                         CLIENT_HELLO_DONE);
        if (!made)
            check_hello(&hello, names[i].canonical);
        else
            assert_int_equal(hello.name_fault != NULL, size > 254);
    }
}

static void test_records_are_read_strictly(void **state)
{
    static const char *const more[] = {"", "\x16", "\x16\3", "\x16\3\1\0\1"};
    static const struct {
        const char *data;
        size_t size;
        enum client_hello_status status;
    } bad[] = {
        {"\x16\2", 2, CLIENT_HELLO_NOT_TLS},
        {"\x15\3\1\0\2", 5, CLIENT_HELLO_NOT_TLS},
        {"GET", 3, CLIENT_HELLO_NOT_TLS},
        {"\0", 1, CLIENT_HELLO_NOT_TLS},
        {"\x16\3\1\0\0", 5, CLIENT_HELLO_MALFORMED},
        {"\x16\3\1\x40\1", 5, CLIENT_HELLO_MALFORMED},
        {"\x16\3\1\0\4\2", 6, CLIENT_HELLO_MALFORMED},     /* a ServerHello */
        {"\x16\3\1\0\1\1\x17", 7, CLIENT_HELLO_MALFORMED}, /* data between records */
        {"\x16\3\1\0\1\1\x16\2", 8, CLIENT_HELLO_MALFORMED},
        {"\x16\3\1\0\5\1\0\0\0\2", 10, CLIENT_HELLO_MALFORMED}, /* more in its record */
        {"\x16\3\1\0\4\1\0\x40\0", 9, CLIENT_HELLO_TOO_LARGE},
        {"\x16\3\1\0\4\1\xff\xff\xff", 9, CLIENT_HELLO_TOO_LARGE},
        {"\x16\3\1\x3f\xfc", 5, CLIENT_HELLO_TOO_LARGE},
    };
    struct client_hello hello;

    for (size_t i = 0; i < ARRAY_SIZE(more); i++)
        assert_int_equal(read_whole(more[i], i == 3 ? 5 : strlen(more[i]), &hello),
                         CLIENT_HELLO_MORE);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(read_whole(bad[i].data, bad[i].size, &hello), bad[i].status);
}

/* Records of one byte each, without end: the limit is on all that came. */
static void test_small_records_count_with_their_heads(void **state)
{
    char data[GATE_HELLO_SIZE_MAX + 16];
    struct client_hello_reader reader = {0};
    enum client_hello_status status = CLIENT_HELLO_MORE;
    struct client_hello hello;
    const char *why;
    size_t n = 0;

    for (size_t i = 0; i + 6 <= sizeof(data); i += 6)
        memcpy(data + i, i == 6 || i == 12 ? "\x16\3\1\0\1\0" : "\x16\3\1\0\1\1", 6);
    while (status == CLIENT_HELLO_MORE)
        status = client_hello_read(&reader, data, ++n, &hello, &why);
    assert_int_equal(status, CLIENT_HELLO_MALFORMED); /* one byte long, so whole */
    memset(data, 0, sizeof(data));
    for (size_t i = 0; i + 6 <= sizeof(data); i += 6)
        memcpy(data + i,
               i == 0    ? "\x16\3\1\0\1\1"
               : i == 12 ? "\x16\3\1\0\1\x20"
                         : "\x16\3\1\0\1",
               6);
    reader = (struct client_hello_reader){0};
    status = CLIENT_HELLO_MORE;
    for (n = 0; status == CLIENT_HELLO_MORE;)
        status = client_hello_read(&reader, data, ++n, &hello, &why);
    assert_int_equal(status, CLIENT_HELLO_TOO_LARGE);
    assert_in_range(n, GATE_HELLO_SIZE_MAX - 6, GATE_HELLO_SIZE_MAX);
}

/* -- the filter -- */

/* How it ends for all of `data` in pieces: REFUSAL_NONE is that it passed, as it came. */
static enum refusal filter(const char *name, uint16_t port, bool exempt, const char *data,
                           size_t size, size_t piece, bool *ret_unjudged)
{
    struct host host;
    const char *why, *passed = NULL;
    size_t n = 0, n_passed = 0;
    int r = 0;

    assert_int_equal(host_parse(name, strlen(name), &host, &why), 0);
    CLEANUP(hello_filter_freep) struct hello_filter *f = hello_filter_new(&host, port, exempt);
    assert_non_null(f);
    for (; r == 0 && n < size; n += MIN_OF(piece, size - n))
        r = hello_filter_take(f, data + n, MIN_OF(piece, size - n), &passed, &n_passed);
    if (r == 0)
        r = hello_filter_end(f, &passed, &n_passed);
    assert_int_equal(r, f->refusal ? -EBADMSG : 1);
    assert_int_equal(f->detail && *f->detail, r < 0);
    if (r > 0)
        assert_int_equal(n_passed, n);
    if (n_passed)
        assert_memory_equal(passed, data, n_passed);
    if (ret_unjudged)
        *ret_unjudged = f->unjudged;
    return f->refusal;
}

static void test_what_may_pass(void **state)
{
    static const struct {
        const char *seed, *name;
        enum refusal at_443, at_22;
    } rows[] = {
        {"openssl", "a.example", REFUSAL_NONE, REFUSAL_NONE},
        {"openssl-tls10", "a.example", REFUSAL_NONE, REFUSAL_NONE}, /* A.Example. */
        {"post-quantum-in-records", "a.example", REFUSAL_NONE, REFUSAL_NONE},
        {"with-early-data", "a.example", REFUSAL_NONE, REFUSAL_NONE},
        {"openssl", "b.example", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"openssl", "b.a.example", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"openssl", "example", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"nul-name", "a.example", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"address-name", "a.example", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"address-name", "11.22.33.44", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"openssl", "11.22.33.44", REFUSAL_SNI_MISMATCH, REFUSAL_SNI_MISMATCH},
        {"openssl-no-name", "11.22.33.44", REFUSAL_NONE, REFUSAL_NONE},
        {"openssl-no-name", "::1", REFUSAL_NONE, REFUSAL_NONE},
        {"openssl-no-name", "a.example", REFUSAL_SNI_MISSING, REFUSAL_SNI_MISSING},
        {"two-names", "a.example", REFUSAL_NOT_TLS, REFUSAL_NOT_TLS},
        {"ssh", "a.example", REFUSAL_NOT_TLS, REFUSAL_NONE},
        {"sslv2", "a.example", REFUSAL_NOT_TLS, REFUSAL_NONE},
    };
    char data[8192];
    bool unjudged;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t size = read_seed(rows[i].seed, data, sizeof(data));
        static const size_t pieces[] = {1, 3, 100, sizeof(data)};
        for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
            assert_int_equal(filter(rows[i].name, 443, false, data, size, pieces[p], &unjudged),
                             rows[i].at_443);
            assert_false(unjudged);
            assert_int_equal(filter(rows[i].name, 22, false, data, size, pieces[p], NULL),
                             rows[i].at_22);
            assert_int_equal(filter(rows[i].name, 443, true, data, size, pieces[p], &unjudged),
                             REFUSAL_NONE);
            assert_true(unjudged);
        }
    }
    (void)filter("a.example", 22, true, "SSH-2.0", 7, 7, &unjudged);
    assert_false(unjudged); /* it would have passed by any rule */
}

static void test_half_a_hello_does_not_pass(void **state)
{
    assert_int_equal(filter("a.example", 443, false, "", 0, 1, NULL), REFUSAL_NONE);
    assert_int_equal(filter("a.example", 443, false, "\x16", 1, 1, NULL), REFUSAL_NOT_TLS);
    assert_int_equal(filter("a.example", 22, false, "\x16", 1, 1, NULL), REFUSAL_NONE);
    assert_int_equal(filter("a.example", 22, false, "\x16\2", 2, 1, NULL), REFUSAL_NONE);
    assert_int_equal(filter("a.example", 22, false, "\x16\3", 2, 1, NULL), REFUSAL_NOT_TLS);
    assert_int_equal(filter("a.example", 22, false, "\x16\3\1\x3f\xfc", 5, 1, NULL),
                     REFUSAL_HELLO_TOO_LARGE);
}

static void test_ports_of_tls(void **state)
{
    static const uint16_t tls[] = {443, 465, 563, 636,  853,  989,  990,  992,
                                   993, 994, 995, 5061, 5671, 6514, 8443, 8883};
    static const uint16_t others[] = {1,   21,  22,   25,   80,   110, 143,
                                      389, 587, 3306, 5432, 8080, 9443};

    for (size_t i = 0; i < ARRAY_SIZE(tls); i++)
        assert_true(tls_port_is(tls[i]));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(tls_port_is(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_hellos),
        cmocka_unit_test(test_any_cut_reads_like_the_whole),
        cmocka_unit_test(test_wrong_lengths_are_malformed),
        cmocka_unit_test(test_a_name_must_be_a_host),
        cmocka_unit_test(test_records_are_read_strictly),
        cmocka_unit_test(test_small_records_count_with_their_heads),
        cmocka_unit_test(test_what_may_pass),
        cmocka_unit_test(test_half_a_hello_does_not_pass),
        cmocka_unit_test(test_ports_of_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
