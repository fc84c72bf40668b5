/* Strict reading of request heads. RFC 9112 lets a server repair a good deal; this reader repairs
 * nothing, since every repair is a chance that the next server reads otherwise (request
 * smuggling). What is refused: bare CR or LF, controls, line folding, white space around names, a
 * second Host, Content-Length or Transfer-Encoding, Content-Length with Transfer-Encoding, any
 * transfer coding but "chunked". */
#include "http-head.h"

#include <endian.h>

#include "caged-limits.h"
#include "util.h"

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

static int too_much(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EMSGSIZE;
}

#define EACH_BYTE(b) (UINT64_MAX / 255 * (b))

/* How many of eight bytes stand in front of the first control (below 0x20, or 0x7f). A control
 * leaves the highest bit of its place set, and so can what stands behind one, by its borrow: never
 * what stands in front of it. */
static size_t count_plain(const char *eight)
{
    uint64_t bytes;

    memcpy(&bytes, eight, sizeof(bytes));
    bytes = le64toh(bytes);
    uint64_t del = bytes ^ EACH_BYTE(0x7f);
    uint64_t found = ((bytes - EACH_BYTE(0x20)) & ~bytes) | ((del - EACH_BYTE(0x01)) & ~del);
    found &= EACH_BYTE(0x80);
    return found ? (size_t)__builtin_ctzll(found) / 8 : 8;
}

/* The place of the first control from `i` on, or one from which on fewer than nine bytes are left
 * to be looked at; always one before the end. */
static size_t skip_plain(const char *data, size_t i, size_t size)
{
    size_t n = 8;

    while (n == 8 && size - i > 8) {
        n = count_plain(data + i);
        i += n;
    }
    return i;
}

ssize_t http_head_find(const char *data, size_t size, size_t *scanned, const char **ret_why)
{
    for (size_t i = *scanned; i < size; i++) {
        i = skip_plain(data, i, size);
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

/* `name` or `name/version` (RFC 9110, section 7.8); *ret is the name. */
static bool protocol_parse(struct span protocol, struct span *ret)
{
    const char *end = protocol.data + protocol.size;
    const char *slash = memchr(protocol.data, '/', protocol.size);

    *ret = span_of(protocol.data, slash ? slash : end);
    return http_is_token(*ret) && (!slash || http_is_token(span_of(slash + 1, end)));
}

/* h2c is another way to speak HTTP: requests that nobody checks would follow (and so would any
 * other version of it). What is left goes to request->upgrade. */
static int upgrade_add(struct http_request *request, struct span list, const char **ret_why)
{
    size_t filled = strlen(request->upgrade);
    struct span protocol, name;

    while (http_next_element(&list, &protocol)) {
        if (!protocol_parse(protocol, &name))
            return bad(ret_why, "Upgrade names what is no protocol");
        if (span_is(name, "h2c") || span_is(name, "h2") || span_is(name, "HTTP"))
            continue;
        if (filled + protocol.size + 2 > GATE_UPGRADE_MAX)
            return too_much(ret_why, "Upgrade names too many protocols");
        if (filled > 0) {
            memcpy(request->upgrade + filled, ", ", 2);
            filled += 2;
        }
        memcpy(request->upgrade + filled, protocol.data, protocol.size);
        filled += protocol.size;
        request->upgrade[filled] = '\0';
    }
    return 0;
}

static bool names_json(struct span list)
{
    struct span element;

    while (http_next_element(&list, &element)) {
        const char *semicolon = memchr(element.data, ';', element.size);
        if (semicolon)
            element = span_of(element.data, semicolon);
        if (span_is(element, "application/json"))
            return true;
    }
    return false;
}

/* Which single fields were seen, and what all of them frame. */
struct seen {
    unsigned lines;
    unsigned hosts;
    struct http_framing framing;
    struct http_hop proxy_connection; /* no standard has it; its "close" is heeded */
};

static int header_account(const struct http_header *h, struct http_request *request,
                          struct seen *seen, const char **ret_why)
{
    switch (h->field) {
    case HTTP_FIELD_HOST:
        return seen->hosts++ > 0 ? bad(ret_why, "there are two Host headers") : 0;
    case HTTP_FIELD_CONNECTION:
        return http_hop_add(&request->hop, h->value, ret_why);
    case HTTP_FIELD_PROXY_CONNECTION:
        return http_hop_add(&seen->proxy_connection, h->value, ret_why);
    case HTTP_FIELD_UPGRADE:
        return upgrade_add(request, h->value, ret_why);
    case HTTP_FIELD_ACCEPT:
        request->wants_json = request->wants_json || names_json(h->value);
        return 0;
    default:
        return http_framing_add(&seen->framing, h, ret_why);
    }
}

static int line_check(struct span line, const char **ret_why)
{
    if (line.size > GATE_HEAD_LINE_MAX)
        return too_much(ret_why, "a line is too long");
    return 0;
}

static int request_frame(struct http_request *request, const struct http_framing *framing,
                         const char **ret_why)
{
    if (framing->other_coding)
        return bad(ret_why, "the only Transfer-Encoding accepted is \"chunked\"");
    if (framing->chunked && request->version_minor == 0)
        return bad(ret_why, "HTTP/1.0 has no Transfer-Encoding");
    if (request->connect && (framing->chunked || framing->length > 0))
        return bad(ret_why, "CONNECT has no body");
    if (framing->chunked)
        request->body = HTTP_BODY_CHUNKED;
    else if (framing->length > 0)
        request->body = HTTP_BODY_LENGTH;
    request->content_length = framing->length;
    return 0;
}

/* What follows from all fields together. */
static void request_settle(struct http_request *request, const struct seen *seen)
{
    bool close = request->hop.close || seen->proxy_connection.close;

    request->persistent = !close && (request->version_minor > 0 || request->hop.keep_alive);
    /* Upgrade without Connection is not for us, HTTP/1.0 has none (RFC 9110, section 7.8), and
     * where a body ends and another protocol begins is nothing to be in doubt about. */
    if (!request->hop.upgrade || request->version_minor == 0 || request->connect ||
        request->body != HTTP_BODY_NONE)
        request->upgrade[0] = '\0';
}

static int headers_parse(struct http_request *request, const char **ret_why)
{
    struct span rest = request->headers;
    struct span line;
    struct seen seen = {0};

    while (http_next_line(&rest, &line)) {
        struct http_header h;
        int r = line_check(line, ret_why);
        if (r == 0 && ++seen.lines > GATE_HEADERS_MAX)
            r = too_much(ret_why, "there are too many headers");
        if (r == 0)
            r = http_header_parse(line, &h, ret_why);
        if (r == 0)
            r = header_account(&h, request, &seen, ret_why);
        if (r < 0)
            return r;
    }
    int r = request_frame(request, &seen.framing, ret_why);
    if (r == 0)
        request_settle(request, &seen);
    return r;
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
    if (!http_is_token(method) || method.size > GATE_METHOD_MAX)
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
    int r = line_check(line, ret_why);
    if (r == 0)
        r = request_line_parse(line, ret, ret_why);
    if (r < 0)
        return r;
    rest.size -= 2; /* the empty line */
    ret->headers = rest;
    return headers_parse(ret, ret_why);
}
