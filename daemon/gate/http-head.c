/* Strict reading and rewriting of request heads. RFC 9112 lets a server repair a good deal; this
 * reader repairs nothing, since every repair is a chance that the next server reads otherwise
 * (request smuggling). What is refused: bare CR or LF, controls, line folding, white space around
 * names, a second Host, Content-Length or Transfer-Encoding, Content-Length with
 * Transfer-Encoding, any transfer coding but "chunked". */
#include "http-head.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "caged-limits.h"
#include "util.h"

#define METHOD_MAX 32
#define LENGTH_DIGITS_MAX 18 /* below 2^63 */
#define HTTP_PORT 80

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

static struct span span_of(const char *start, const char *end)
{
    return (struct span){start, (size_t)(end - start)};
}

static bool span_is(struct span s, const char *text)
{
    return s.size == strlen(text) && strncasecmp(s.data, text, s.size) == 0;
}

static bool span_has_prefix(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.size >= n && strncasecmp(s.data, prefix, n) == 0;
}

static struct span span_trim(struct span s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* tchar of RFC 9110, section 5.6.2 */
static bool is_token_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!is_token_char(s.data[i]))
            return false;
    return s.size > 0;
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
            return bad(ret_why, "the request has a control character (is this plain HTTP?)");
        }
    }
    *scanned = size;
    return 0;
}

/* Takes the next line, without its CRLF, off the front. False at the end. */
static bool next_line(struct span *rest, struct span *ret)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    if (rest->size == 0 || !end)
        return false;
    *ret = span_of(rest->data, end - 1);
    *rest = span_of(end + 1, rest->data + rest->size);
    return true;
}

/* -- header lines -- */

struct header {
    struct span name;
    struct span value;
};

static int header_parse(struct span line, struct header *ret, const char **ret_why)
{
    const char *colon;

    if (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        return bad(ret_why, "a header is folded over two lines");
    colon = memchr(line.data, ':', line.size);
    if (!colon)
        return bad(ret_why, "a header line has no colon");
    ret->name = span_of(line.data, colon);
    ret->value = span_trim(span_of(colon + 1, line.data + line.size));
    if (!is_token(ret->name))
        return bad(ret_why, "a header's name has a character that is not allowed there");
    return 0;
}

static bool next_header(struct span *rest, struct header *ret)
{
    const char *why;
    struct span line;
    return next_line(rest, &line) && header_parse(line, ret, &why) == 0;
}

/* Takes the next element off a comma-separated list. */
static bool next_element(struct span *list, struct span *ret)
{
    if (list->size == 0)
        return false;
    const char *comma = memchr(list->data, ',', list->size);
    const char *end = list->data + list->size;
    *ret = span_trim(span_of(list->data, comma ? comma : end));
    *list = span_of(comma ? comma + 1 : end, end);
    return true;
}

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

/* A Connection header may not take away what frames the message or names its host. */
static int connection_check(struct span list, const char **ret_why)
{
    static const char *const kept[] = {"host", "content-length", "transfer-encoding"};
    struct span element;

    while (next_element(&list, &element))
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
            if (span_is(element, kept[i]))
                return bad(ret_why, "Connection names a header that cannot be dropped");
    return 0;
}

static int header_account(const struct header *h, struct http_request *request,
                          struct framing *seen, const char **ret_why)
{
    if (++seen->lines > GATE_HEADERS_MAX)
        return bad(ret_why, "there are too many headers");
    if (span_is(h->name, "Connection"))
        return connection_check(h->value, ret_why);
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

    while (next_line(&rest, &line)) {
        struct header h;
        int r = header_parse(line, &h, ret_why);
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
    if (!is_token(method) || method.size > METHOD_MAX)
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
    if (size < 4 || memcmp(data + size - 4, "\r\n\r\n", 4) != 0 || !next_line(&rest, &line))
        return bad(ret_why, "the head is not whole");
    int r = request_line_parse(line, ret, ret_why);
    if (r < 0)
        return r;
    rest.size -= 2; /* the empty line */
    ret->headers = rest;
    return headers_parse(ret, ret_why);
}

/* -- writing -- */

struct writer {
    char *buffer;
    size_t allocated;
    size_t size;
    bool full;
};

static void put(struct writer *w, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct writer *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(w->buffer + w->size, w->allocated - w->size, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= w->allocated - w->size)
        w->full = true;
    else
        w->size += (size_t)n;
}

static void put_span(struct writer *w, struct span s)
{
    if (s.size >= w->allocated - w->size) {
        w->full = true;
        return;
    }
    memcpy(w->buffer + w->size, s.data, s.size);
    w->size += s.size;
}

static void put_authority(struct writer *w, const struct http_request *request)
{
    bool v6 = request->host.address.family == AF_INET6;
    put(w, "%s%s%s", v6 ? "[" : "", request->host.name, v6 ? "]" : "");
    if (request->connect || request->port != HTTP_PORT)
        put(w, ":%u", request->port);
}

/* Headers for this hop alone (RFC 9110, section 7.6.1). Upgrade is among them: a request in
 * absolute form goes on as plain HTTP; whoever wants another protocol uses CONNECT. */
static bool is_hop_header(struct span name)
{
    static const char *const names[] = {
        "Host",    "Connection",          "Keep-Alive", "Proxy-Connection",
        "Upgrade", "Proxy-Authorization", "TE",         "HTTP2-Settings",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (span_is(name, names[i]))
            return true;
    return false;
}

static bool connection_names(struct span headers, struct span name)
{
    struct header h;
    struct span element;

    while (next_header(&headers, &h)) {
        if (!span_is(h.name, "Connection"))
            continue;
        while (next_element(&h.value, &element))
            if (element.size == name.size && strncasecmp(element.data, name.data, name.size) == 0)
                return true;
    }
    return false;
}

static void put_headers(struct writer *w, const struct http_request *request)
{
    struct span rest = request->headers;
    struct header h;

    while (next_header(&rest, &h)) {
        if (is_hop_header(h.name) || connection_names(request->headers, h.name))
            continue;
        put_span(w, h.name);
        put(w, ": ");
        put_span(w, h.value);
        put(w, "\r\n");
    }
}

static void put_target(struct writer *w, const struct http_request *request, enum http_form form)
{
    if (form == HTTP_FORM_CONNECT) {
        put_authority(w, request);
        return;
    }
    if (form == HTTP_FORM_ABSOLUTE) {
        put(w, "http://");
        put_authority(w, request);
    } else if (request->path.size == 0 && span_is(request->method, "OPTIONS")) {
        put(w, "*"); /* RFC 9112, section 3.2.4 */
        return;
    }
    if (form == HTTP_FORM_ORIGIN && (request->path.size == 0 || request->path.data[0] != '/'))
        put(w, "/");
    put_span(w, request->path);
}

ssize_t http_request_write(const struct http_request *request, enum http_form form,
                           const char *authorization, char *buffer, size_t buffer_size)
{
    struct writer w = {.buffer = buffer, .allocated = buffer_size};

    if (buffer_size == 0)
        return -ENOBUFS;
    put_span(&w, request->method);
    put(&w, " ");
    put_target(&w, request, form);
    put(&w, " HTTP/1.%u\r\nHost: ", request->version_minor);
    put_authority(&w, request);
    put(&w, "\r\n");
    if (authorization)
        put(&w, "Proxy-Authorization: %s\r\n", authorization);
    if (form != HTTP_FORM_CONNECT) {
        put_headers(&w, request);
        put(&w, "Connection: close\r\n");
    }
    put(&w, "\r\n");
    return w.full ? -ENOBUFS : (ssize_t)w.size;
}

int http_status_parse(const char *data, size_t size)
{
    if (size < 12 || memcmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ')
        return -EBADMSG;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -EBADMSG;
        status = status * 10 + (data[i] - '0');
    }
    return status >= 100 && status < 600 ? status : -EBADMSG;
}
