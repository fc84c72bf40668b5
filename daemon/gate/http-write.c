/* Writing heads: a request's for the next server, an answer's for the client; see http-head.h. Only
 * what was parsed is written, field by field, so that no byte goes out that the strict reader has
 * not seen. */
#include <stdarg.h>
#include <stdio.h>

#include "http-head.h"
#include "util.h"

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

/* All but those for this hop alone. */
static void put_headers(struct writer *w, struct span headers)
{
    struct span rest = headers;
    struct http_header h;

    while (http_next_header(&rest, &h)) {
        if (http_is_hop_header(headers, h.name))
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
    /* In absolute form the slash matters too: "http://a?@b/" is host b to a careless reader. */
    if (request->path.size > 0 ? request->path.data[0] != '/' : form == HTTP_FORM_ORIGIN)
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
        put_headers(&w, request->headers);
        put(&w, "Connection: close\r\n");
    }
    put(&w, "\r\n");
    return w.full ? -ENOBUFS : (ssize_t)w.size;
}

ssize_t http_answer_write(const struct http_answer_head *answer, char *buffer, size_t buffer_size)
{
    struct writer w = {.buffer = buffer, .allocated = buffer_size};

    if (buffer_size == 0)
        return -ENOBUFS;
    put_span(&w, answer->status_line);
    put(&w, "\r\n");
    put_headers(&w, answer->headers);
    if (answer->status >= 200)
        put(&w, "Connection: close\r\n");
    put(&w, "\r\n");
    return w.full ? -ENOBUFS : (ssize_t)w.size;
}
