/* daemon/gate/http-head, http-answer and http-body: finding the end of a head in pieces, what is
 * read out of it, how it goes out again, and where a body ends. (What must be refused is tested
 * byte for byte against the running gate in tests/integration/test_gate_requests.py, too.) */
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

/* Each byte at each place of a word, among bytes that are near to a control in one way or other. */
static void test_find_sees_each_control_wherever_it_stands(void **state)
{
    static const char others[] = {' ', '!', 'a', '~', '\t', (char)0x80, (char)0x9f, (char)0xff};
    char data[32];

    for (size_t i = 0; i < ARRAY_SIZE(others) * 256 * sizeof(data); i++) {
        size_t place = i % sizeof(data), scanned = 0;
        unsigned byte = (unsigned)(i / sizeof(data) % 256);
        const char *why = NULL;
        bool last_cr = byte == '\r' && place + 1 == sizeof(data);
        bool good = (byte >= 0x20 && byte != 0x7f) || byte == '\t' || last_cr;
        memset(data, others[i / sizeof(data) / 256], sizeof(data));
        data[place] = (char)byte;
        assert_int_equal(http_head_find(data, sizeof(data), &scanned, &why), good ? 0 : -EBADMSG);
        assert_int_equal(scanned, !good ? 0 : last_cr ? place : sizeof(data));
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
    check_write("GET http://[::1]:81?q HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                HTTP_FORM_ORIGIN, NULL,
                "GET /?q HTTP/1.0\r\nHost: [::1]:81\r\nConnection: close\r\n\r\n");
    check_write("GET http://a?@b/ HTTP/1.1\r\nConnection: Close\r\n\r\n", HTTP_FORM_ABSOLUTE, NULL,
                "GET http://a/?@b/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_write("OPTIONS http://a HTTP/1.1\r\n\r\n", HTTP_FORM_ABSOLUTE, NULL,
                "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n");
    check_write("OPTIONS http://a HTTP/1.1\r\n\r\n", HTTP_FORM_ORIGIN, NULL,
                "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    check_write("GET http://a/ HTTP/1.1\r\nConnection: upgrade, close\r\nUpgrade: x\r\n\r\n",
                HTTP_FORM_ORIGIN, NULL,
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: x\r\n\r\n");
    check_write("CONNECT a:443 HTTP/1.1\r\nX: y\r\n\r\n", HTTP_FORM_CONNECT, "Basic z",
                "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nProxy-Authorization: Basic z\r\n\r\n");
}

static void test_upgrades(void **state)
{
    static const struct {
        const char *fields;
        const char *upgrade;
    } cases[] = {
        {"Connection: Upgrade\r\nUpgrade: websocket\r\n", "websocket"},
        {"Connection: keep-alive, upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: x/1\r\n",
         "websocket, x/1"},
        {"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAA\r\n", ""},
        {"Connection: Upgrade\r\nUpgrade: h2, HTTP/2.0, http, h2c/1\r\n", ""},
        {"Upgrade: websocket\r\n", ""},  /* Connection must name it */
        {"Connection: Upgrade\r\n", ""}, /* and to what? */
        {"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", ""},
    };
    static const char *const bad[] = {"Upgrade: web socket", "Upgrade: ,", "Upgrade: a/",
                                      "Upgrade: /a", "Upgrade: a/b/c"};
    struct http_request r;
    char head[512], out[4096];

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        (void)snprintf(head, sizeof(head), "GET http://a/ HTTP/1.1\r\n%s\r\n", cases[i].fields);
        assert_int_equal(parse(head, &r), 0);
        assert_string_equal(r.upgrade, cases[i].upgrade);
        ssize_t n = http_request_write(&r, HTTP_FORM_ORIGIN, NULL, out, sizeof(out) - 1);
        assert_true(n > 0);
        out[n] = '\0';
        assert_null(strcasestr(out, "h2c"));
        assert_null(strcasestr(out, "HTTP2-Settings"));
        assert_int_equal(strstr(out, "Upgrade: ") != NULL, *r.upgrade != '\0');
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        (void)snprintf(head, sizeof(head), "GET http://a/ HTTP/1.1\r\n%s\r\n\r\n", bad[i]);
        assert_int_equal(parse(head, &r), -EBADMSG);
    }
    int n = snprintf(head, sizeof(head), "GET http://a/ HTTP/1.1\r\nUpgrade: ");
    memset(head + n, 'x', GATE_UPGRADE_MAX + 1);
    strcpy(head + n + GATE_UPGRADE_MAX + 1, "\r\n\r\n");
    assert_int_equal(parse(head, &r), -EMSGSIZE);
}

static void test_what_a_client_says_of_its_connection(void **state)
{
    static const struct {
        const char *head;
        bool persistent;
    } cases[] = {
        {"GET http://a/ HTTP/1.1\r\n\r\n", true},
        {"GET http://a/ HTTP/1.0\r\n\r\n", false},
        {"GET http://a/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET http://a/ HTTP/1.0\r\nProxy-Connection: Keep-Alive\r\n\r\n", false},
        {"GET http://a/ HTTP/1.1\r\nConnection: x, CLOSE\r\n\r\n", false},
        {"GET http://a/ HTTP/1.1\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {"GET http://a/ HTTP/1.1\r\nProxy-Connection: close\r\n\r\n", false},
        {"GET http://a/ HTTP/1.1\r\nConnection: closed\r\n\r\n", true},
    };
    struct http_request r;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(parse(cases[i].head, &r), 0);
        if (r.persistent != cases[i].persistent)
            fail_msg("%s", cases[i].head);
    }
    assert_int_equal(parse("GET http://a/ HTTP/1.1\r\nConnection: a, b c\r\n\r\n", &r), -EBADMSG);
    assert_int_equal(parse("GET http://a/ HTTP/1.1\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"
                           "\r\n\r\n",
                           &r),
                     -EBADMSG);
    assert_int_equal(
        parse("GET http://a/ HTTP/1.1\r\nAccept: text/html, Application/JSON;q=1\r\n\r\n", &r), 0);
    assert_true(r.wants_json);
    assert_int_equal(parse("GET http://a/ HTTP/1.1\r\nAccept: */*\r\n\r\n", &r), 0);
    assert_false(r.wants_json);
}

static void test_limits_of_heads(void **state)
{
    static char head[2 * GATE_HEAD_SIZE_MAX];
    struct http_request r;

    for (size_t more = 0; more < 2; more++) { /* a field that just fits, and one that does not */
        int n = snprintf(head, sizeof(head), "GET http://a/ HTTP/1.1\r\nX:");
        memset(head + n, 'x', GATE_HEAD_LINE_MAX - 2 + more);
        strcpy(head + n + GATE_HEAD_LINE_MAX - 2 + more, "\r\n\r\n");
        assert_int_equal(parse(head, &r), more ? -EMSGSIZE : 0);
    }
    for (size_t more = 0; more < 2; more++) {
        size_t n = (size_t)snprintf(head, sizeof(head), "GET http://a/ HTTP/1.1\r\n");
        for (size_t i = 0; i < GATE_HEADERS_MAX + more; i++, n += 6)
            memcpy(head + n, "X: y\r\n", 6);
        strcpy(head + n, "\r\n");
        assert_int_equal(parse(head, &r), more ? -EMSGSIZE : 0);
    }
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

/* Lets an answer pass in pieces of `step`; what comes out of it, with its body up to its end, or
 * NULL with -EBADMSG. */
static char *answer_in_pieces(struct http_answer *answer, const char *data, size_t size,
                              size_t step, size_t *ret_size)
{
    static char out[HTTP_ANSWER_HEAD_MAX];
    char *passed = malloc(size * 2 + HTTP_REWRITE_EXTRA);
    const char *why;
    size_t at = 0, used;

    *ret_size = 0;
    while (passed && at < size && !(answer->final && http_body_ended(&answer->body))) {
        size_t piece = MIN_OF(step, size - at);
        const char *from = answer->final ? data + at : out;
        ssize_t n = answer->final ? http_body_consume(&answer->body, data + at, piece)
                                  : http_answer_take(answer, data + at, piece, out, &used, &why);
        if (n < 0) {
            free(passed);
            return NULL;
        }
        memcpy(passed + *ret_size, from, (size_t)n);
        *ret_size += (size_t)n;
        at += from == out ? used : (size_t)n;
    }
    return passed;
}

static void answer_to(struct http_answer *answer, const char *method, unsigned version_minor,
                      const char *upgrade)
{
    struct http_request request = {.method = {method, strlen(method)},
                                   .version_minor = version_minor};

    (void)snprintf(request.upgrade, sizeof(request.upgrade), "%s", upgrade);
    http_answer_init(answer, &request);
    answer->may_persist = true;
}

static void test_answer(void **state)
{
    static const char data[] =
        "HTTP/1.1 100 Go on\r\nConnection: x\r\nX: 1\r\n\r\n"
        "HTTP/1.1 200 OK\r\nKeep-Alive: 5\r\nA:b\r\nContent-Length: 5\r\n\r\n"
        "HTTP/1.1 300 surplus\r\nConnection: y\r\n\r\n";
    static const char wanted[] = "HTTP/1.1 100 Go on\r\n\r\n"
                                 "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nHTTP/";
    static const char bad[] = "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\nA : b\r\n\r\n";
    size_t size;

    for (size_t step = 1; step <= sizeof(data); step++) {
        struct http_answer answer;
        answer_to(&answer, "GET", 1, "");
        char *passed = answer_in_pieces(&answer, data, sizeof(data) - 1, step, &size);
        assert_non_null(passed);
        assert_int_equal(size, sizeof(wanted) - 1);
        assert_memory_equal(passed, wanted, size);
        assert_true(answer.persistent && answer.reusable);
        free(passed);
        http_answer_deinit(&answer);
        answer_to(&answer, "GET", 1, "");
        assert_null(answer_in_pieces(&answer, bad, sizeof(bad) - 1, step, &size));
        http_answer_deinit(&answer);
    }
}

/* RFC 9112, section 6.3. */
static void test_where_answers_end(void **state)
{
    static const struct {
        const char *method;
        unsigned version_minor;
        const char *head; /* behind "HTTP/1." */
        int kind;         /* or -1: refused */
        bool persistent, reusable;
    } cases[] = {
        {"GET", 1, "1 200 x\r\nContent-Length: 5\r\n", HTTP_BODY_LENGTH, true, true},
        {"GET", 1, "1 200 x\r\nContent-Length: 0\r\n", HTTP_BODY_NONE, true, true},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: chunked\r\n", HTTP_BODY_CHUNKED, true, true},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: gzip, Chunked\r\n", HTTP_BODY_CHUNKED, true,
         true},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: gzip\r\n", HTTP_BODY_UNTIL_CLOSE, false, false},
        {"GET", 1, "1 200 x\r\n", HTTP_BODY_UNTIL_CLOSE, false, false},
        {"GET", 1, "1 200 x\r\nContent-Length: 5\r\nConnection: close\r\n", HTTP_BODY_LENGTH, true,
         false},
        {"GET", 1, "0 200 x\r\nContent-Length: 5\r\n", HTTP_BODY_LENGTH, true, false},
        {"GET", 0, "1 200 x\r\nContent-Length: 5\r\n", HTTP_BODY_LENGTH, true, false},
        {"HEAD", 1, "1 200 x\r\nContent-Length: 5\r\n", HTTP_BODY_NONE, true, true},
        {"HEAD", 1, "1 200 x\r\nTransfer-Encoding: chunked\r\n", HTTP_BODY_NONE, true, true},
        {"head", 1, "1 200 x\r\nContent-Length: 5\r\n", HTTP_BODY_LENGTH, true, true},
        {"GET", 1, "1 204 x\r\n", HTTP_BODY_NONE, true, true},
        {"GET", 1, "1 204 x\r\nContent-Length: 0\r\n", HTTP_BODY_NONE, true, true},
        {"GET", 1, "1 304 x\r\nContent-Length: 5\r\n", HTTP_BODY_NONE, true, true},
        {"GET", 1, "1 204 x\r\nContent-Length: 5\r\n", -1, false, false},
        {"GET", 1, "1 204 x\r\nTransfer-Encoding: chunked\r\n", -1, false, false},
        {"GET", 1, "1 100 x\r\nContent-Length: 5\r\n", -1, false, false},
        {"GET", 1, "1 103 x\r\nTransfer-Encoding: chunked\r\n", -1, false, false},
        {"GET", 0, "1 200 x\r\nTransfer-Encoding: chunked\r\n", -1, false, false},
        {"GET", 1, "0 200 x\r\nTransfer-Encoding: chunked\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: chunked, gzip\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: chunked, chunked\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: \r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: chunked,\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nTransfer-Encoding: ,chunked\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", -1, false,
         false},
        {"GET", 1, "1 200 x\r\nContent-Length: 5\r\nContent-Length: 5\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nContent-Length: 5, 5\r\n", -1, false, false},
        {"GET", 1, "1 200 x\r\nContent-Length: -5\r\n", -1, false, false},
        {"GET", 1, "1 101 x\r\nUpgrade: websocket\r\n", -1, false, false},
    };
    static char out[HTTP_ANSWER_HEAD_MAX];
    char data[512];
    const char *why;
    size_t used;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_answer answer;
        answer_to(&answer, cases[i].method, cases[i].version_minor, "");
        int size = snprintf(data, sizeof(data), "HTTP/1.%s\r\n", cases[i].head);
        ssize_t n = http_answer_take(&answer, data, (size_t)size, out, &used, &why);
        if ((n > 0 && answer.final) != (cases[i].kind >= 0))
            fail_msg("case %zu: %zd", i, n);
        if (n > 0 &&
            ((int)answer.kind != cases[i].kind || answer.persistent != cases[i].persistent ||
             answer.reusable != cases[i].reusable))
            fail_msg("case %zu is read wrongly", i);
        http_answer_deinit(&answer);
    }
}

static void test_a_changed_protocol_must_have_been_asked_for(void **state)
{
    static const struct {
        const char *asked, *given;
        bool good;
    } cases[] = {
        {"websocket", "Upgrade: WebSocket\r\n", true},
        {"a, b/1", "Upgrade: b/1\r\n", true},
        {"websocket", "Upgrade: h2c\r\n", false},
        {"websocket", "", false},
        {"", "Upgrade: websocket\r\n", false},
        {"a", "Upgrade: a, b\r\n", false},
        {"a", "Upgrade: a\r\nContent-Length: 1\r\n", false},
    };
    static char out[HTTP_ANSWER_HEAD_MAX + 1];
    char data[512];
    const char *why;
    size_t used;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_answer answer;
        answer_to(&answer, "GET", 1, cases[i].asked);
        int size = snprintf(data, sizeof(data), "HTTP/1.1 101 x\r\nConnection: z\r\n%s\r\nabc",
                            cases[i].given);
        ssize_t n = http_answer_take(&answer, data, (size_t)size, out, &used, &why);
        if ((n > 0) != cases[i].good)
            fail_msg("case %zu: %zd", i, n);
        if (n > 0) {
            out[n] = '\0';
            assert_int_equal(used, size - 3);
            assert_non_null(strstr(out, "Connection: Upgrade\r\nUpgrade: "));
        }
        http_answer_deinit(&answer);
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
    char data[256];

    int size = snprintf(data, sizeof(data), "%s%s", chunked, next);
    for (size_t step = 1; step <= (size_t)size; step++) {
        struct http_body body;
        http_body_init(&body, HTTP_BODY_CHUNKED, 0);
        assert_int_equal(consume(&body, data, (size_t)size, step), sizeof(chunked) - 1);
        assert_true(http_body_ended(&body));
    }
    struct http_body body;
    http_body_init(&body, HTTP_BODY_LENGTH, 7);
    assert_int_equal(consume(&body, "0123456789", 10, 3), 7);
    assert_true(http_body_ended(&body));
    http_body_init(&body, HTTP_BODY_NONE, 0);
    assert_int_equal(consume(&body, "0123456789", 10, 3), 0);
}

static void test_broken_bodies(void **state)
{
    static const char *const bad[] = {
        "\r\n",
        "x\r\n",
        "1 \r\nx\r\n",
        " 1\r\nx\r\n",
        "1\nx\n",
        "1\r\nxy\r\n",
        "1\r\nx\n",
        "1\r\nx\rz",
        "1000000000000000\r\n",
        "1;\x01\r\n",
        "0\r\n \r\n\r\n",
        "0\r\nA\n\r\n",
        "0\r\n\rx",
        "0\r\nA\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\nA : x\r\n\r\n",
        "0\r\nA:\x01",
        "0\r\nHOST: x\r\n",
        "0\r\nContent-Length: 1\r\n",
        "0\r\nProxy-Authorization: x\r\n",
        "+1\r\nx\r\n",
        "-1\r\nx\r\n",
        "0x1\r\nx\r\n",
        "1\t\r\nx\r\n",
        "1;a\nb\r\nx\r\n",
        "1;a\rb\r\nx\r\n",
        "1\r\nx\r\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct http_body body;
        http_body_init(&body, HTTP_BODY_CHUNKED, 0);
        if (consume(&body, bad[i], strlen(bad[i]), 1) != -EBADMSG)
            fail_msg("case %zu was accepted", i);
    }
}

static void test_extensions_and_trailers_are_bounded(void **state)
{
    struct http_body body;
    ssize_t r = 0;

    http_body_init(&body, HTTP_BODY_CHUNKED, 0);
    assert_int_equal(consume(&body, "1;", 2, 2), 2);
    for (size_t i = 0; i <= GATE_CHUNK_EXTENSION_MAX; i++) {
        assert_int_equal(r < 0, 0);
        r = http_body_consume(&body, "x", 1);
    }
    assert_int_equal(r, -EBADMSG);
    http_body_init(&body, HTTP_BODY_CHUNKED, 0);
    assert_int_equal(consume(&body, "0\r\n", 3, 3), 3);
    r = 0;
    for (size_t i = 0; i <= GATE_TRAILERS_SIZE_MAX && r >= 0; i++)
        r = http_body_consume(&body, "A: b\r\n", 6);
    assert_int_equal(r, -EBADMSG);
    /* but each chunk may have its own extension, for ever */
    http_body_init(&body, HTTP_BODY_CHUNKED, 0);
    for (size_t i = 0; i < GATE_HEAD_SIZE_MAX; i++)
        assert_int_equal(http_body_consume(&body, "1;ext\r\nx\r\n", 10), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_in_pieces),
        cmocka_unit_test(test_find_refuses_at_once),
        cmocka_unit_test(test_find_sees_each_control_wherever_it_stands),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_a_refused_request_keeps_what_was_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_upgrades),
        cmocka_unit_test(test_what_a_client_says_of_its_connection),
        cmocka_unit_test(test_limits_of_heads),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_where_answers_end),
        cmocka_unit_test(test_a_changed_protocol_must_have_been_asked_for),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_broken_bodies),
        cmocka_unit_test(test_extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
