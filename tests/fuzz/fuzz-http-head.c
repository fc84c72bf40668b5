/* Any bytes as an answer, to each kind of request: what passes is the same however it is cut, is an
 * answer that this reader frames alike, and says whether the connection goes on. Any bytes as a
 * request: no crash; a head that arrives in pieces reads like a whole one;
 * what goes out again is a head that this parser accepts, once, with the same framing and the same
 * host; and a body ends in the same place however it is cut. */
#include "caged-limits.h"
#include "daemon/gate/http-answer.h"
#include "daemon/gate/http-body.h"
#include "daemon/gate/http-head.h"
#include "fuzz.h"
#include "util.h"

static ssize_t find_bytewise(const char *data, size_t size)
{
    size_t scanned = 0;
    const char *why;
    ssize_t r = 0;
    for (size_t n = 1; n <= size && r == 0; n++)
        r = http_head_find(data, n, &scanned, &why);
    return r;
}

static void check_body(const struct http_request *request, const char *data, size_t size)
{
    struct http_body whole, pieces;
    size_t total = 0;
    ssize_t n = 0;

    http_body_init(&whole, request->body, request->content_length);
    http_body_init(&pieces, request->body, request->content_length);
    ssize_t used = http_body_consume(&whole, data, size);
    while (total < size && (n = http_body_consume(&pieces, data + total, 1)) == 1)
        total++;
    require((used < 0) == (n < 0));
    require(used < 0 || (size_t)used == total);
    require(used < 0 || (size_t)used == size || http_body_ended(&whole));
}

static bool names_http(const char *upgrade)
{
    struct span list = {upgrade, strlen(upgrade)};
    struct span protocol;

    while (http_next_element(&list, &protocol))
        if (span_is(protocol, "h2c") || span_is(protocol, "h2") || span_is(protocol, "HTTP") ||
            span_has_prefix(protocol, "HTTP/") || span_has_prefix(protocol, "h2c/"))
            return true;
    return false;
}

/* Sends it on to a parent (absolute form) and reads that: nothing may have changed its meaning. */
static void check_rewriting(const struct http_request *request, size_t head_size)
{
    size_t allocated = head_size + HTTP_REWRITE_EXTRA;
    AUTO_FREE char *out = malloc(allocated);
    struct http_request again;
    const char *why;
    size_t scanned = 0;

    if (!out)
        return;
    enum http_form form = request->connect ? HTTP_FORM_CONNECT : HTTP_FORM_ABSOLUTE;
    ssize_t n = http_request_write(request, HTTP_FORM_ORIGIN, NULL, out, allocated);
    require(n > 0);
    n = http_request_write(request, form, NULL, out, allocated);
    require(n > 0 && http_head_find(out, (size_t)n, &scanned, &why) == n);
    int r = http_request_parse(out, (size_t)n, &again, &why);
    if (r < 0) { /* headers more than there were (Host, Connection), or a colon and now a space */
        require(r == -EMSGSIZE);
        return;
    }
    require(streq(again.host.name, request->host.name) && again.port == request->port);
    require(again.connect == request->connect && again.body == request->body);
    require(again.content_length == request->content_length);
    require(streq(again.upgrade, request->upgrade) && !names_http(again.upgrade));
    require(request->connect || !again.persistent || request->persistent);
}

/* What passed of an answer, up to the end of its body. */
struct passed {
    char *data;
    size_t size;
    bool bad;
};

static void pass(struct passed *passed, const char *data, ssize_t size)
{
    passed->bad = passed->bad || size < 0;
    if (size <= 0 || passed->bad)
        return;
    passed->data = realloc(passed->data, passed->size + (size_t)size);
    memcpy(passed->data + passed->size, data, (size_t)size);
    passed->size += (size_t)size;
}

/* The next piece, as exchange.c takes it. */
static void take(struct http_answer *answer, const char *data, size_t size, struct passed *passed)
{
    static char out[HTTP_ANSWER_HEAD_MAX];
    const char *why = NULL;
    size_t used;

    while (size > 0 && !passed->bad && !answer->final) {
        ssize_t n = http_answer_take(answer, data, size, out, &used, &why);
        require(n >= 0 || why);
        require(n < 0 || (used <= size && (used > 0 || n > 0)));
        pass(passed, out, n);
        if (n >= 0) {
            data += used;
            size -= used;
        }
    }
    if (answer->final && answer->status != 101)
        pass(passed, data, http_body_consume(&answer->body, data, size));
    require(passed->bad || answer->final || answer->size < GATE_HEAD_SIZE_MAX);
}

static struct passed answer_in_two(struct http_answer *answer, const struct http_request *request,
                                   const char *data, size_t size, size_t cut)
{
    struct passed passed = {0};

    http_answer_init(answer, request);
    answer->may_persist = true;
    take(answer, data, cut, &passed);
    if (!passed.bad)
        take(answer, data + cut, size - cut, &passed);
    return passed;
}

/* What passed reads as it was read, and its final head says that the connection ends if it does. */
static void check_passed(const struct http_request *request, const struct http_answer *answer,
                         const struct passed *passed)
{
    struct http_answer again;
    struct passed twice = answer_in_two(&again, request, passed->data, passed->size, 0);

    if (!twice.bad) { /* the head may be one header too long now */
        require(again.final == answer->final && again.status == answer->status);
        require(again.kind == answer->kind && again.body.state == answer->body.state);
        require(again.body.left == answer->body.left);
        require(answer->status == 101 || !again.reusable || answer->persistent);
    }
    http_answer_deinit(&again);
    free(twice.data);
}

static void check_answer(const char *data, size_t size)
{
    static const struct http_request requests[] = {
        {.method = {"GET", 3}, .version_minor = 1},
        {.method = {"GET", 3}, .version_minor = 0},
        {.method = {"HEAD", 4}, .version_minor = 1},
        {.method = {"GET", 3}, .version_minor = 1, .upgrade = "websocket"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        struct http_answer whole, cut;
        struct passed a = answer_in_two(&whole, &requests[i], data, size, 0);
        struct passed b = answer_in_two(&cut, &requests[i], data, size, size / 2);

        require(a.bad == b.bad);
        require(a.bad ||
                (a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0)));
        require(a.bad || whole.persistent == cut.persistent);
        require(!whole.persistent || whole.kind != HTTP_BODY_UNTIL_CLOSE);
        if (!a.bad && whole.final)
            check_passed(&requests[i], &whole, &a);
        http_answer_deinit(&whole);
        http_answer_deinit(&cut);
        free(a.data);
        free(b.data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *data = (const char *)bytes;
    struct http_request request;
    const char *why = NULL;
    size_t scanned = 0;

    ssize_t head = http_head_find(data, size, &scanned, &why);
    require(head == find_bytewise(data, size));
    check_answer(data, size);
    if (head <= 0)
        return 0;
    if (http_request_parse(data, (size_t)head, &request, &why) < 0) {
        require(why);
        return 0;
    }
    require(*request.host.name && request.port > 0);
    check_body(&request, data + head, size - (size_t)head);
    check_rewriting(&request, (size_t)head);
    return 0;
}
