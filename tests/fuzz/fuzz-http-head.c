/* Any bytes as an answer: what passes is the same however it is cut, and says that the connection
 * closes. Any bytes as a request: no crash; a head that arrives in pieces reads like a whole one;
 * what goes out again is a head that this parser accepts, once, with the same framing and the same
 * host; and a body ends in the same place however it is cut. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "caged-limits.h"
#include "daemon/gate/http-answer.h"
#include "daemon/gate/http-body.h"
#include "daemon/gate/http-head.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

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

    http_body_init(&whole, request);
    http_body_init(&pieces, request);
    ssize_t used = http_body_consume(&whole, data, size);
    while (total < size && (n = http_body_consume(&pieces, data + total, 1)) == 1)
        total++;
    require((used < 0) == (n < 0));
    require(used < 0 || (size_t)used == total);
    require(used < 0 || (size_t)used == size || http_body_ended(&whole));
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
    if (r < 0) { /* two headers more than there were: Host and Connection */
        require(streq(why, "there are too many headers"));
        return;
    }
    require(streq(again.host.name, request->host.name) && again.port == request->port);
    require(again.connect == request->connect && again.body == request->body);
    require(again.content_length == request->content_length);
}

/* Returns what passed of an answer that came in two pieces, NULL if it was refused. */
static char *answer_in_two(const char *data, size_t size, size_t cut, size_t *ret_size)
{
    struct http_answer answer = {0};
    const char *why;
    char *first = NULL, *second = NULL;
    size_t n = 0, m = 0;
    int r = cut > 0 ? http_answer_take(&answer, data, cut, &first, &n, &why) : 0;

    if (r == 0 && answer.final)
        second = memcpy(malloc(size - cut + 1), data + cut, m = size - cut);
    else if (r == 0 && cut < size)
        r = http_answer_take(&answer, data + cut, size - cut, &second, &m, &why);
    require(r < 0 || answer.final || answer.size < GATE_HEAD_SIZE_MAX);
    char *all = r == 0 ? calloc(1, n + m + 1) : NULL;
    if (all && n)
        memcpy(all, first, n);
    if (all && m)
        memcpy(all + n, second, m);
    require(!all || !answer.final || strstr(all, "\r\nConnection: close\r\n\r\n"));
    free(first);
    free(second);
    http_answer_deinit(&answer);
    *ret_size = n + m;
    return all;
}

static void check_answer(const char *data, size_t size)
{
    size_t whole_size, cut_size;
    char *whole = answer_in_two(data, size, 0, &whole_size);
    char *cut = answer_in_two(data, size, size / 2, &cut_size);

    require(!whole == !cut);
    require(!whole || (whole_size == cut_size && memcmp(whole, cut, cut_size) == 0));
    free(whole);
    free(cut);
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
