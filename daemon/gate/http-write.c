/* Writing heads: a request's for the next server, an answer's for the client; see http-head.h. Only
 * what was parsed is written, field by field, so that no byte goes out that the strict reader has
 * not seen. */
#include "http-head.h"
#include "util.h"

struct writer {
    char *buffer;
    size_t allocated;
    size_t size;
    bool full;
};

static void put_span(struct writer *w, struct span s)
{
    if (s.size >= w->allocated - w->size) {
        w->full = true;
        return;
    }
    if (s.size > 0) /* an empty span may point nowhere */
        memcpy(w->buffer + w->size, s.data, s.size);
    w->size += s.size;
}

#define PUT_TEXT(w, text) put_span((w), (struct span){(text), sizeof(text) - 1})

static void put_string(struct writer *w, const char *text)
{
    put_span(w, (struct span){text, strlen(text)});
}

static void put_port(struct writer *w, uint16_t port)
{
    char digits[5];
    char *end = digits + sizeof(digits), *start = end;

    do
        *--start = (char)('0' + port % 10);
    while ((port /= 10) > 0);
    PUT_TEXT(w, ":");
    put_span(w, span_of(start, end));
}

static void put_authority(struct writer *w, const struct http_request *request)
{
    bool v6 = request->host.address.family == AF_INET6;

    if (v6)
        PUT_TEXT(w, "[");
    put_string(w, request->host.name);
    if (v6)
        PUT_TEXT(w, "]");
    if (request->connect || request->port != HTTP_PORT)
        put_port(w, request->port);
}

static void put_header(struct writer *w, const struct http_header *h)
{
    put_span(w, h->name);
    PUT_TEXT(w, ": ");
    put_span(w, h->value);
    PUT_TEXT(w, "\r\n");
}

/* All but those for this hop alone. */
static void put_headers(struct writer *w, struct span headers, const struct http_hop *hop)
{
    struct http_header h;

    while (http_next_header(&headers, &h))
        if (!http_hop_drops(hop, &h))
            put_header(w, &h);
}

static void put_target(struct writer *w, const struct http_request *request, enum http_form form)
{
    if (form == HTTP_FORM_CONNECT) {
        put_authority(w, request);
        return;
    }
    if (form == HTTP_FORM_ABSOLUTE) {
        PUT_TEXT(w, "http://");
        put_authority(w, request);
    } else if (request->path.size == 0 && span_is(request->method, "OPTIONS")) {
        PUT_TEXT(w, "*"); /* RFC 9112, section 3.2.4 */
        return;
    }
    /* In absolute form the slash matters too: "http://a?@b/" is host b to a careless reader. */
    if (request->path.size > 0 ? request->path.data[0] != '/' : form == HTTP_FORM_ORIGIN)
        PUT_TEXT(w, "/");
    put_span(w, request->path);
}

static void put_upgrade(struct writer *w, struct span protocols)
{
    PUT_TEXT(w, "Upgrade: ");
    put_span(w, protocols);
    PUT_TEXT(w, "\r\n");
}

/* The server's connection stays if the client's does and both are of version 1.1. */
static void put_connection(struct writer *w, const struct http_request *request)
{
    bool close = !request->persistent || request->version_minor == 0;

    if (*request->upgrade) {
        if (close)
            PUT_TEXT(w, "Connection: close, Upgrade\r\n");
        else
            PUT_TEXT(w, "Connection: Upgrade\r\n");
        put_upgrade(w, (struct span){request->upgrade, strlen(request->upgrade)});
    } else if (close) {
        PUT_TEXT(w, "Connection: close\r\n");
    }
}

ssize_t http_request_write(const struct http_request *request, enum http_form form,
                           const char *authorization, char *buffer, size_t buffer_size)
{
    struct writer w = {.buffer = buffer, .allocated = buffer_size};

    if (buffer_size == 0)
        return -ENOBUFS;
    put_span(&w, request->method);
    PUT_TEXT(&w, " ");
    put_target(&w, request, form);
    if (request->version_minor > 0)
        PUT_TEXT(&w, " HTTP/1.1\r\nHost: ");
    else
        PUT_TEXT(&w, " HTTP/1.0\r\nHost: ");
    put_authority(&w, request);
    PUT_TEXT(&w, "\r\n");
    if (authorization) {
        PUT_TEXT(&w, "Proxy-Authorization: ");
        put_string(&w, authorization);
        PUT_TEXT(&w, "\r\n");
    }
    if (form != HTTP_FORM_CONNECT) {
        put_headers(&w, request->headers, &request->hop);
        put_connection(&w, request);
    }
    PUT_TEXT(&w, "\r\n");
    return w.full ? -ENOBUFS : (ssize_t)w.size;
}

static void put_answer_connection(struct writer *w, const struct http_answer_head *answer,
                                  enum http_connection connection)
{
    switch (connection) {
    case HTTP_CONNECTION_UNSAID:
        break;
    case HTTP_CONNECTION_CLOSE:
        PUT_TEXT(w, "Connection: close\r\n");
        break;
    case HTTP_CONNECTION_KEEP:
        PUT_TEXT(w, "Connection: keep-alive\r\n");
        break;
    case HTTP_CONNECTION_UPGRADE:
        PUT_TEXT(w, "Connection: Upgrade\r\n");
        put_upgrade(w, answer->upgrade);
        break;
    }
}

ssize_t http_answer_write(const struct http_answer_head *answer, enum http_connection connection,
                          char *buffer, size_t buffer_size)
{
    struct writer w = {.buffer = buffer, .allocated = buffer_size};
    const char *behind_version = answer->status_line.data + strlen("HTTP/1.x");

    if (buffer_size == 0)
        return -ENOBUFS;
    PUT_TEXT(&w, "HTTP/1.1"); /* each hop names its own version (RFC 9110, section 6.2) */
    put_span(&w, span_of(behind_version, answer->status_line.data + answer->status_line.size));
    PUT_TEXT(&w, "\r\n");
    put_headers(&w, answer->headers, &answer->hop);
    put_answer_connection(&w, answer, connection);
    PUT_TEXT(&w, "\r\n");
    return w.full ? -ENOBUFS : (ssize_t)w.size;
}
