/* Strict reading of request heads. RFC 9112 lets a server repair a good deal; this reader repairs
 * nothing, since every repair is a chance that the next server reads otherwise (request
 * smuggling). What is refused: bare CR or LF, controls, line folding, white space around names, a
 * second Host, Content-Length or Transfer-Encoding, Content-Length with Transfer-Encoding, any
 * transfer coding but "chunked". */
#include "http-head.h"

#include "caged-limits.h"
#include "util.h"

#define METHOD_MAX 32
#define LENGTH_DIGITS_MAX 18 /* below 2^63 */

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

ssize_t http_head_find(const char *data, size_t size, size_t *scanned, const char **ret_why)
{
    for (size_t i = *scanned; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c == '\r') {
            if (i + 1 == size) {
                *scanned = i;
                return 0;
            }
            if (data[i + 1] != '\n')
                return bad(ret_why, "a carriage return stands without a line feed");
        } else if (c == '\n') {
            if (i == 0 || data[i - 1] != '\r')
                return bad(ret_why, "a line ends without a carriage return");
            if (i >= 3 && data[i - 2] == '\n')
                return (ssize_t)(i + 1);
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return bad(ret_why, "there is a control character (is this plain HTTP?)");
        }
    }
    *scanned = size;
    return 0;
}

/* -- header lines -- */

/* Which of the headers that frame the message were seen. */
struct framing {
    unsigned lines;
    unsigned hosts;
    unsigned lengths;
    unsigned codings;
};

static int content_length_parse(struct span value, uint64_t *ret, const char **ret_why)
{
    uint64_t length = 0;
    if (value.size == 0 || value.size > LENGTH_DIGITS_MAX)
        return bad(ret_why, "Content-Length is not a number, or far too large");
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return bad(ret_why, "Content-Length is not one decimal number");
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    *ret = length;
    return 0;
}

static int header_account(const struct http_header *h, struct http_request *request,
                          struct framing *seen, const char **ret_why)
{
    if (++seen->lines > GATE_HEADERS_MAX)
        return bad(ret_why, "there are too many headers");
    if (span_is(h->name, "Connection"))
        return http_connection_check(h->value, ret_why);
    if (span_is(h->name, "Host")) {
        if (seen->hosts++ > 0)
            return bad(ret_why, "there are two Host headers");
    } else if (span_is(h->name, "Content-Length")) {
        if (seen->lengths++ > 0)
            return bad(ret_why, "there are two Content-Length headers");
        request->body = HTTP_BODY_LENGTH;
        return content_length_parse(h->value, &request->content_length, ret_why);
    } else if (span_is(h->name, "Transfer-Encoding")) {
        if (seen->codings++ > 0)
            return bad(ret_why, "there are two Transfer-Encoding headers");
        if (!span_is(h->value, "chunked"))
            return bad(ret_why, "the only Transfer-Encoding accepted is \"chunked\"");
        request->body = HTTP_BODY_CHUNKED;
    }
    return 0;
}

static int headers_parse(struct http_request *request, const char **ret_why)
{
    struct span rest = request->headers;
    struct span line;
    struct framing seen = {0};

    while (http_next_line(&rest, &line)) {
        struct http_header h;
        int r = http_header_parse(line, &h, ret_why);
        if (r < 0)
            return r;
        r = header_account(&h, request, &seen, ret_why);
        if (r < 0)
            return r;
    }
    if (seen.lengths > 0 && seen.codings > 0)
        return bad(ret_why, "there are both Content-Length and Transfer-Encoding");
    if (seen.codings > 0 && request->version_minor == 0)
        return bad(ret_why, "HTTP/1.0 has no Transfer-Encoding");
    if (request->connect && (seen.codings > 0 || request->content_length > 0))
        return bad(ret_why, "CONNECT has no body");
    if (request->body == HTTP_BODY_LENGTH && request->content_length == 0)
        request->body = HTTP_BODY_NONE;
    return 0;
}

/* -- request line -- */

static int absolute_form_parse(struct span target, struct http_request *request,
                               const char **ret_why)
{
    const char *start = target.data + strlen("http://");
    const char *end = target.data + target.size;
    const char *p = start;

    if (memchr(target.data, '#', target.size))
        return bad(ret_why, "the target has a fragment (\"#\")");
    while (p < end && *p != '/' && *p != '?')
        p++;
    if (host_authority_parse(start, (size_t)(p - start), HTTP_PORT, &request->host, &request->port,
                             ret_why) < 0)
        return -EBADMSG;
    request->path = span_of(p, end);
    return 0;
}

static int target_parse(struct span target, struct http_request *request, const char **ret_why)
{
    for (size_t i = 0; i < target.size; i++)
        if ((unsigned char)target.data[i] <= 0x20 || (unsigned char)target.data[i] >= 0x7f)
            return bad(ret_why, "the target has a character that must be percent-encoded");
    if (request->connect) {
        if (host_authority_parse(target.data, target.size, 0, &request->host, &request->port,
                                 ret_why) < 0)
            return -EBADMSG;
        return 0;
    }
    if (span_has_prefix(target, "http://"))
        return absolute_form_parse(target, request, ret_why);
    if (span_has_prefix(target, "https://"))
        return bad(ret_why, "https:// goes through a proxy with CONNECT host:443, so that it stays "
                            "encrypted from end to end");
    if (target.size > 0 && (target.data[0] == '/' || target.data[0] == '*'))
        return bad(ret_why,
                   "this is an HTTP proxy, not a web server: it wants CONNECT host:port or "
                   "a target that starts with http://");
    return bad(ret_why, "the target is neither host:port with CONNECT nor a URI that starts with "
                        "http://");
}

static int request_line_parse(struct span line, struct http_request *request, const char **ret_why)
{
    const char *end = line.data + line.size;
    const char *space = memchr(line.data, ' ', line.size);
    const char *last = memrchr(line.data, ' ', line.size);

    if (!space || last == space)
        return bad(ret_why, "the first line is not \"METHOD target HTTP/1.1\"");
    struct span method = span_of(line.data, space);
    struct span target = span_of(space + 1, last);
    struct span version = span_of(last + 1, end);
    if (!http_is_token(method) || method.size > METHOD_MAX)
        return bad(ret_why, "the method is not a short word");
    request->method = method;
    /* Methods are case-sensitive (RFC 9110): "connect" is not CONNECT. */
    request->connect = method.size == 7 && memcmp(method.data, "CONNECT", 7) == 0;
    if (version.size != 8 || memcmp(version.data, "HTTP/1.", 7) != 0 ||
        (version.data[7] != '0' && version.data[7] != '1'))
        return bad(ret_why, "the protocol is not HTTP/1.0 or HTTP/1.1");
    request->version_minor = (unsigned)(version.data[7] - '0');
    return target_parse(target, request, ret_why);
}

int http_request_parse(const char *data, size_t size, struct http_request *ret,
                       const char **ret_why)
{
    struct span rest = {data, size};
    struct span line;

    memset(ret, 0, sizeof(*ret));
    if (size < 4 || memcmp(data + size - 4, "\r\n\r\n", 4) != 0 || !http_next_line(&rest, &line))
        return bad(ret_why, "the head is not whole");
    int r = request_line_parse(line, ret, ret_why);
    if (r < 0)
        return r;
    rest.size -= 2; /* the empty line */
    ret->headers = rest;
    return headers_parse(ret, ret_why);
}

int http_status_parse(const char *data, size_t size)
{
    if (size < 13 || memcmp(data, "HTTP/1.", 7) != 0 || (data[7] != '0' && data[7] != '1') ||
        data[8] != ' ' || (data[12] != ' ' && data[12] != '\r'))
        return -EBADMSG;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -EBADMSG;
        status = status * 10 + (data[i] - '0');
    }
    return status >= 100 && status < 600 ? status : -EBADMSG;
}

int http_answer_parse(const char *data, size_t size, struct http_answer_head *ret,
                      const char **ret_why)
{
    struct http_answer_head answer = {.status = http_status_parse(data, size)};
    struct span rest = {data, size};
    struct span line;
    struct http_header h;
    unsigned lines = 0;

    if (answer.status < 0 || !http_next_line(&rest, &answer.status_line))
        return bad(ret_why, "its first line is not that of an HTTP/1 answer");
    if (answer.status == 101)
        return bad(ret_why, "it changes the protocol, which nobody asked for");
    rest.size -= 2; /* the empty line */
    answer.headers = rest;
    while (http_next_line(&rest, &line)) {
        if (++lines > GATE_HEADERS_MAX)
            return bad(ret_why, "there are too many headers");
        int r = http_header_parse(line, &h, ret_why);
        if (r == 0 && span_is(h.name, "Connection"))
            r = http_connection_check(h.value, ret_why);
        if (r < 0)
            return r;
    }
    *ret = answer;
    return 0;
}
