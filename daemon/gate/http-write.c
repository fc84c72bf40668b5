/* Writing a request's head for the next server; see http-head.h. Only what was parsed is written,
 * field by field, so that no byte goes out that the strict reader has not seen. */
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

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
    struct http_header h;
    struct span element;

    while (http_next_header(&headers, &h)) {
        if (!span_is(h.name, "Connection"))
            continue;
        while (http_next_element(&h.value, &element))
            if (element.size == name.size && strncasecmp(element.data, name.data, name.size) == 0)
                return true;
    }
    return false;
}

static void put_headers(struct writer *w, const struct http_request *request)
{
    struct span rest = request->headers;
    struct http_header h;

    while (http_next_header(&rest, &h)) {
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
