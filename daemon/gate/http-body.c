/* The chunked coding, as strictly as the heads: sizes are at most 15 hexadecimal digits with
 * nothing around them, lines end with CRLF, extensions and trailers hold no controls and are
 * bounded. A body that breaks a rule ends the connection, since nobody can say any more where the
 * next request would start. */
#include "http-body.h"

#include "caged-limits.h"
#include "util.h"

#define SIZE_DIGITS_MAX 15 /* fits in 63 bits */

void http_body_init(struct http_body *body, enum http_body_kind kind, uint64_t length)
{
    *body = (struct http_body){.state = HTTP_BODY_STATE_END};
    if (kind == HTTP_BODY_UNTIL_CLOSE) {
        body->state = HTTP_BODY_STATE_DATA;
        body->left = UINT64_MAX;
    } else if (kind == HTTP_BODY_LENGTH && length > 0) {
        body->state = HTTP_BODY_STATE_DATA;
        body->left = length;
    } else if (kind == HTTP_BODY_CHUNKED) {
        body->state = HTTP_BODY_STATE_SIZE;
    }
}

static int size_byte(struct http_body *body, char c)
{
    int value = hex_value(c);

    if (value >= 0) {
        if (++body->digits > SIZE_DIGITS_MAX)
            return -EBADMSG;
        body->left = body->left << 4 | (unsigned)value;
        return 0;
    }
    if (body->digits == 0 || (c != ';' && c != '\r'))
        return -EBADMSG;
    body->state = c == ';' ? HTTP_BODY_STATE_EXTENSION : HTTP_BODY_STATE_SIZE_LF;
    return 0;
}

/* A byte of an extension or of a trailer's value, up to its carriage return. */
static int text_byte(struct http_body *body, char c, size_t max, enum http_body_state next)
{
    unsigned char u = (unsigned char)c;
    if (++body->overhead > max)
        return -EBADMSG;
    if (c == '\r')
        body->state = next;
    else if ((u < 0x20 && c != '\t') || u == 0x7f)
        return -EBADMSG;
    return 0;
}

static int expect(struct http_body *body, char c, char wanted, enum http_body_state next)
{
    if (c != wanted)
        return -EBADMSG;
    body->state = next;
    return 0;
}

static int line_end_of_size(struct http_body *body, char c)
{
    bool last = body->left == 0;
    body->digits = 0;
    body->overhead = 0;
    return expect(body, c, '\n', last ? HTTP_BODY_STATE_TRAILER : HTTP_BODY_STATE_CHUNK);
}

/* -- trailers -- */

static bool is_forbidden_trailer(const struct http_body *body)
{
    static const char *const forbidden[] = {
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Trailer",
        "TE",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Connection",
        "Expect",
        "Cookie",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Set-Cookie",
        "Range",
        "Proxy-Authenticate",
        "Authorization",
        "Proxy-Authorization",
        "Location",
    };
    struct span name = {body->name, body->name_size};

    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
        if (span_is(name, forbidden[i]))
            return true;
    return false;
}

static int name_byte(struct http_body *body, char c)
{
    struct span byte = {&c, 1};

    if (++body->overhead > GATE_TRAILERS_SIZE_MAX)
        return -EBADMSG;
    if (c == ':') {
        bool good = body->name_size > 0 && !is_forbidden_trailer(body);
        body->state = HTTP_BODY_STATE_FIELD;
        return good ? 0 : -EBADMSG;
    }
    if (!http_is_token(byte))
        return -EBADMSG; /* folding, white space, no colon */
    if (body->name_size < sizeof(body->name))
        body->name[body->name_size++] = c;
    return 0;
}

static int trailer_start(struct http_body *body, char c)
{
    if (c == '\r') {
        body->state = HTTP_BODY_STATE_TRAILER_LF;
        return 0;
    }
    body->state = HTTP_BODY_STATE_NAME;
    body->name_size = 0;
    return name_byte(body, c);
}

static int framing_byte(struct http_body *body, char c)
{
    switch (body->state) {
    case HTTP_BODY_STATE_SIZE:
        return size_byte(body, c);
    case HTTP_BODY_STATE_EXTENSION:
        return text_byte(body, c, GATE_CHUNK_EXTENSION_MAX, HTTP_BODY_STATE_SIZE_LF);
    case HTTP_BODY_STATE_SIZE_LF:
        return line_end_of_size(body, c);
    case HTTP_BODY_STATE_CHUNK_CR:
        return expect(body, c, '\r', HTTP_BODY_STATE_CHUNK_LF);
    case HTTP_BODY_STATE_CHUNK_LF:
        return expect(body, c, '\n', HTTP_BODY_STATE_SIZE);
    case HTTP_BODY_STATE_TRAILER:
        return trailer_start(body, c);
    case HTTP_BODY_STATE_NAME:
        return name_byte(body, c);
    case HTTP_BODY_STATE_FIELD:
        return text_byte(body, c, GATE_TRAILERS_SIZE_MAX, HTTP_BODY_STATE_FIELD_LF);
    case HTTP_BODY_STATE_FIELD_LF:
        return expect(body, c, '\n', HTTP_BODY_STATE_TRAILER);
    case HTTP_BODY_STATE_TRAILER_LF:
        return expect(body, c, '\n', HTTP_BODY_STATE_END);
    case HTTP_BODY_STATE_DATA:
    case HTTP_BODY_STATE_CHUNK:
    case HTTP_BODY_STATE_END:
        break;
    }
    return -EBADMSG;
}

ssize_t http_body_consume(struct http_body *body, const char *data, size_t size)
{
    size_t used = 0;

    while (used < size && body->state != HTTP_BODY_STATE_END) {
        if (body->state == HTTP_BODY_STATE_DATA || body->state == HTTP_BODY_STATE_CHUNK) {
            size_t n = (size_t)MIN_OF(body->left, (uint64_t)(size - used));
            used += n;
            body->left -= n;
            if (body->left > 0)
                break;
            body->state = body->state == HTTP_BODY_STATE_DATA ? HTTP_BODY_STATE_END
                                                              : HTTP_BODY_STATE_CHUNK_CR;
            continue;
        }
        int r = framing_byte(body, data[used]);
        if (r < 0)
            return r;
        used++;
    }
    return (ssize_t)used;
}
