/* daemon/gate/http-head, http-answer and http-body: finding the end of a head in pieces, what is
 * read out of it, how it goes out again, and where a body ends. (What must be refused is tested
 * byte for byte against the running gate in tests/integration/test_gate.py, too.) */
#include "unit-test.h"

#include <stdio.h>

#include "caged-limits.h"
#include "daemon/gate/http-answer.h"
#include "daemon/gate/http-body.h"
#include "daemon/gate/http-head.h"
#include "util.h"

static void test_find_in_pieces(void **state)
{
    static const char head[] = "GET http://a/ HTTP/1.1\r\nX: y\r\n\r\nrest";
    size_t whole = sizeof("GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n") - 1;
    size_t scanned = 0;
    const char *why;

    for (size_t size = 0; size < whole; size++)
        assert_int_equal(http_head_find(head, size, &scanned, &why), 0);
    assert_int_equal(http_head_find(head, whole, &scanned, &why), whole);
    scanned = 0;
    assert_int_equal(http_head_find(head, sizeof(head) - 1, &scanned, &why), whole);
}

static void test_find_refuses_at_once(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } bad[] = {{"GET\n", 4},      {"GET\rX", 5},   {"G\0", 2}, {"\x16\x03", 2},
               {"a\r\nb\n\n", 6}, {"a\r\n\rb", 5}, {"\x7f", 1}};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        size_t scanned = 0;
        const char *why = NULL;
        assert_int_equal(http_head_find(bad[i].data, bad[i].size, &scanned, &why), -EBADMSG);
        assert_non_null(why);
        int r = 0; /* and byte by byte */
        scanned = 0;
        for (size_t n = 1; n <= bad[i].size && r == 0; n++)
            r = (int)http_head_find(bad[i].data, n, &scanned, &why);
        assert_int_equal(r, -EBADMSG);
    }
}

static int parse(const char *head, struct http_request *request)
{
    const char *why = NULL;
    int r = http_request_parse(head, strlen(head), request, &why);
    if (r < 0)
        assert_non_null(why);
    return r;
}

static void test_parse(void **state)
{
    struct http_request r;

    assert_int_equal(parse("CONNECT A.example.:8443 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", &r), 0);
    assert_true(r.connect);
    assert_string_equal(r.host.name, "a.example");
    assert_int_equal(r.port, 8443);
    assert_int_equal(r.body, HTTP_BODY_NONE);

    assert_int_equal(
        parse("POST HTTP://a.example:81/p?q HTTP/1.0\r\nContent-Length: 12\r\n\r\n", &r), 0);
    assert_false(r.connect);
    assert_int_equal(r.port, 81);
    assert_int_equal(r.version_minor, 0);
    assert_int_equal(r.body, HTTP_BODY_LENGTH);
    assert_int_equal(r.content_length, 12);
    assert_memory_equal(r.path.data, "/p?q", r.path.size);

    assert_int_equal(
        parse("PUT http://[::1]/ HTTP/1.1\r\ntransfer-encoding:\t CHUNKED \r\n\r\n", &r), 0);
    assert_int_equal(r.body, HTTP_BODY_CHUNKED);
    assert_string_equal(r.host.name, "::1");
    assert_int_equal(r.port, 80);
}

static void test_a_refused_request_keeps_what_was_read(void **state)
{
    struct http_request r;
    assert_int_equal(parse("GET http://a.example/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", &r),
                     -EBADMSG);
    assert_string_equal(r.host.name, "a.example");
    assert_memory_equal(r.method.data, "GET", r.method.size);
    assert_int_equal(parse("GET /x HTTP/1.1\r\n\r\n", &r), -EBADMSG);
    assert_string_equal(r.host.name, "");
    assert_int_equal(r.port, 0);
}

static void check_write(const char *head, enum http_form form, const char *authorization,
                        const char *wanted)
{
    struct http_request r;
    char buffer[4096];

    assert_int_equal(parse(head, &r), 0);
    ssize_t n = http_request_write(&r, form, authorization, buffer, sizeof(buffer));
    assert_true(n > 0);
    buffer[n] = '\0';
    assert_string_equal(buffer, wanted);
    assert_true((size_t)n <=
                strlen(head) + HTTP_REWRITE_EXTRA + (authorization ? strlen(authorization) : 0));
    for (size_t size = 0; size < (size_t)n; size++)
        assert_int_equal(http_request_write(&r, form, authorization, buffer, size), -ENOBUFS);
}

static void test_write(void **state)
{
    static const char head[] =
        "GET http://A.example/p HTTP/1.1\r\nHost: other\r\nConnection: x-a , X-B\r\nX-A: 1\r\n"
        "X-B: 2\r\nX-C:3\r\nProxy-Authorization: Basic x\r\nProxy-Connection: close\r\n\r\n";
    check_write(head, HTTP_FORM_ORIGIN, NULL,
                "GET /p HTTP/1.1\r\nHost: a.example\r\nX-C: 3\r\nConnection: close\r\n\r\n");
    check_write(head, HTTP_FORM_ABSOLUTE, "Basic y",
                "GET http://a.example/p HTTP/1.1\r\nHost: a.example\r\n"
                "Proxy-Authorization: Basic y\r\nX-C: 3\r\nConnection: close\r\n\r\n");
    check_write("GET http://[::1]:81?q HTTP/1.0\r\n\r\n", HTTP_FORM_ORIGIN, NULL,
                "GET /?q HTTP/1.0\r\nHost: [::1]:81\r\nConnection: close\r\n\r\n");
    check_write("GET http://a?@b/ HTTP/1.1\r\n\r\n", HTTP_FORM_ABSOLUTE, NULL,
                "GET http://a/?@b/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_write("OPTIONS http://a HTTP/1.1\r\n\r\n", HTTP_FORM_ABSOLUTE, NULL,
                "OPTIONS http://a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_write("OPTIONS http://a HTTP/1.1\r\n\r\n", HTTP_FORM_ORIGIN, NULL,
                "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_write("CONNECT a:443 HTTP/1.1\r\nX: y\r\n\r\n", HTTP_FORM_CONNECT, "Basic z",
                "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Authorization: Basic z\r\n\r\n");
}

static void test_status(void **state)
{
    assert_int_equal(http_status_parse("HTTP/1.1 200 OK", 15), 200);
    assert_int_equal(http_status_parse("HTTP/1.0 407\r", 13), 407);
    assert_int_equal(http_status_parse("HTTP/1.1 200", 12), -EBADMSG);
    assert_int_equal(http_status_parse("HTTP/2.0 200 ", 13), -EBADMSG);
    assert_int_equal(http_status_parse("HTTP/1.x 200 ", 13), -EBADMSG);
    assert_int_equal(http_status_parse("HTTP/1.1 099 ", 13), -EBADMSG);
    assert_int_equal(http_status_parse("HTTP/1.1 2x0 ", 13), -EBADMSG);
    assert_int_equal(http_status_parse("HTTP/1.1 2000", 13), -EBADMSG);
}

/* Lets an answer pass in pieces of `step`; what comes out, or NULL with -EBADMSG. */
static char *answer_in_pieces(const char *data, size_t size, size_t step, size_t *ret_size)
{
    struct http_answer answer = {0};
    char *passed = malloc(1), *out;
    const char *why;
    size_t n;

    *ret_size = 0;
    for (size_t at = 0; passed && at < size; at += step) {
        size_t piece = MIN_OF(step, size - at);
        if (answer.final) { /* the caller does not ask then */
            out = strndup(data + at, n = piece);
        } else if (http_answer_take(&answer, data + at, piece, &out, &n, &why) < 0) {
            free(passed);
            passed = NULL;
            break;
        }
        passed = realloc(passed, *ret_size + n + 1);
        memcpy(passed + *ret_size, out ? out : "", n);
        *ret_size += n;
        free(out);
    }
    http_answer_deinit(&answer);
    return passed;
}

static void test_answer(void **state)
{
    static const char data[] = "HTTP/1.1 100 Go on\r\nConnection: x\r\nX: 1\r\n\r\n"
                               "HTTP/1.1 200 OK\r\nKeep-Alive: 5\r\nA:b\r\n\r\n"
                               "HTTP/1.1 300 body\r\nConnection: y\r\n\r\n";
    static const char wanted[] = "HTTP/1.1 100 Go on\r\n\r\n"
                                 "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n"
                                 "HTTP/1.1 300 body\r\nConnection: y\r\n\r\n";
    static const char bad[] = "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\nA : b\r\n\r\n";
    size_t size;

    for (size_t step = 1; step <= sizeof(data); step++) {
        char *passed = answer_in_pieces(data, sizeof(data) - 1, step, &size);
        assert_non_null(passed);
        assert_int_equal(size, sizeof(wanted) - 1);
        assert_memory_equal(passed, wanted, size);
        free(passed);
        assert_null(answer_in_pieces(bad, sizeof(bad) - 1, step, &size));
    }
}

/* Consumes in pieces of `step`; returns how much belonged to the body, or -EBADMSG. */
static ssize_t consume(struct http_body *body, const char *data, size_t size, size_t step)
{
    size_t total = 0;
    while (total < size) {
        size_t n = MIN_OF(step, size - total);
        ssize_t used = http_body_consume(body, data + total, n);
        if (used < 0)
            return used;
        total += (size_t)used;
        if ((size_t)used < n)
            break;
    }
    return (ssize_t)total;
}

static void test_bodies(void **state)
{
    static const char chunked[] = "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n000\r\nT: 1\r\n\r\n";
    static const char next[] = "GET http://evil/ HTTP/1.1\r\n\r\n";
    struct http_request request = {.body = HTTP_BODY_CHUNKED};
    char data[256];

    int size = snprintf(data, sizeof(data), "%s%s", chunked, next);
    for (size_t step = 1; step <= (size_t)size; step++) {
        struct http_body body;
        http_body_init(&body, &request);
        assert_int_equal(consume(&body, data, (size_t)size, step), sizeof(chunked) - 1);
        assert_true(http_body_ended(&body));
    }
    struct http_body body;
    request = (struct http_request){.body = HTTP_BODY_LENGTH, .content_length = 7};
    http_body_init(&body, &request);
    assert_int_equal(consume(&body, "0123456789", 10, 3), 7);
    assert_true(http_body_ended(&body));
    request = (struct http_request){.body = HTTP_BODY_NONE};
    http_body_init(&body, &request);
    assert_int_equal(consume(&body, "0123456789", 10, 3), 0);
}

static void test_broken_bodies(void **state)
{
    static const char *const bad[] = {
        "\r\n",           "x\r\n",        "1 \r\nx\r\n", " 1\r\nx\r\n",          "1\nx\n",
        "1\r\nxy\r\n",    "1\r\nx\n",     "1\r\nx\rz",   "1000000000000000\r\n", "1;\x01\r\n",
        "0\r\n \r\n\r\n", "0\r\nA\n\r\n", "0\r\n\rx",
    };
    struct http_request request = {.body = HTTP_BODY_CHUNKED};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct http_body body;
        http_body_init(&body, &request);
        if (consume(&body, bad[i], strlen(bad[i]), 1) != -EBADMSG)
            fail_msg("case %zu was accepted", i);
    }
}

static void test_extensions_and_trailers_are_bounded(void **state)
{
    struct http_request request = {.body = HTTP_BODY_CHUNKED};
    struct http_body body;
    ssize_t r = 0;

    http_body_init(&body, &request);
    assert_int_equal(consume(&body, "1;", 2, 2), 2);
    for (size_t i = 0; i <= GATE_HEAD_SIZE_MAX && r >= 0; i++)
        r = http_body_consume(&body, "x", 1);
    assert_int_equal(r, -EBADMSG);
    http_body_init(&body, &request);
    assert_int_equal(consume(&body, "0\r\n", 3, 3), 3);
    r = 0;
    for (size_t i = 0; i <= GATE_HEAD_SIZE_MAX && r >= 0; i++)
        r = http_body_consume(&body, "A: b\r\n", 6);
    assert_int_equal(r, -EBADMSG);
    /* but each chunk may have its own extension, for ever */
    http_body_init(&body, &request);
    for (size_t i = 0; i < GATE_HEAD_SIZE_MAX; i++)
        assert_int_equal(http_body_consume(&body, "1;ext\r\nx\r\n", 10), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_in_pieces),
        cmocka_unit_test(test_find_refuses_at_once),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_a_refused_request_keeps_what_was_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_broken_bodies),
        cmocka_unit_test(test_extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
