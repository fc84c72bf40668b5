/* See http-fields.h. */
#include "http-fields.h"

#include <strings.h>

#include "util.h"

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

bool span_is(struct span s, const char *text)
{
    return s.size == strlen(text) && strncasecmp(s.data, text, s.size) == 0;
}

bool span_has_prefix(struct span s, const char *prefix)
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

static bool is_token_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c);
}

bool http_is_token(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!is_token_char(s.data[i]))
            return false;
    return s.size > 0;
}

bool http_next_line(struct span *rest, struct span *ret)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    if (rest->size == 0 || !end)
        return false;
    *ret = span_of(rest->data, end - 1);
    *rest = span_of(end + 1, rest->data + rest->size);
    return true;
}

int http_header_parse(struct span line, struct http_header *ret, const char **ret_why)
{
    const char *colon;

    if (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        return bad(ret_why, "a header is folded over two lines");
    colon = memchr(line.data, ':', line.size);
    if (!colon)
        return bad(ret_why, "a header line has no colon");
    ret->name = span_of(line.data, colon);
    ret->value = span_trim(span_of(colon + 1, line.data + line.size));
    if (!http_is_token(ret->name))
        return bad(ret_why, "a header's name has a character that is not allowed there");
    return 0;
}

bool http_next_header(struct span *rest, struct http_header *ret)
{
    const char *why;
    struct span line;
    return http_next_line(rest, &line) && http_header_parse(line, ret, &why) == 0;
}

/* Takes the next element, trimmed and maybe empty, off a comma-separated list. */
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

/* Upgrade is among them: a request in absolute form goes on as plain HTTP; whoever wants another
 * protocol uses CONNECT. */
static bool is_hop_name(struct span name)
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

bool http_is_hop_header(struct span headers, struct span name)
{
    struct http_header h;
    struct span element;

    if (is_hop_name(name))
        return true;
    while (http_next_header(&headers, &h)) {
        if (!span_is(h.name, "Connection"))
            continue;
        while (next_element(&h.value, &element))
            if (element.size == name.size && strncasecmp(element.data, name.data, name.size) == 0)
                return true;
    }
    return false;
}

int http_connection_check(struct span list, const char **ret_why)
{
    static const char *const kept[] = {"host", "content-length", "transfer-encoding"};
    struct span element;

    while (next_element(&list, &element))
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
            if (span_is(element, kept[i]))
                return bad(ret_why, "Connection names a header that cannot be dropped");
    return 0;
}
