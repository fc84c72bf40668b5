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

/* clang-format off */
static const bool token_chars[256] = {
    ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true,
    ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true,
    ['`'] = true, ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true,
};
/* clang-format on */

bool http_is_token(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!token_chars[(unsigned char)s.data[i]])
            return false;
    return s.size > 0;
}

bool http_next_line(struct span *rest, struct span *ret)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    if (!end)
        return false;
    *ret = span_of(rest->data, end - 1);
    *rest = span_of(end + 1, rest->data + rest->size);
    return true;
}

/* -- fields -- */

#define FIELD(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static const struct {
    const char *name;
    size_t size;
} fields[] = {
    [HTTP_FIELD_OTHER] = FIELD(""),
    [HTTP_FIELD_HOST] = FIELD("Host"),
    [HTTP_FIELD_CONNECTION] = FIELD("Connection"),
    [HTTP_FIELD_KEEP_ALIVE] = FIELD("Keep-Alive"),
    [HTTP_FIELD_PROXY_CONNECTION] = FIELD("Proxy-Connection"),
    [HTTP_FIELD_UPGRADE] = FIELD("Upgrade"),
    [HTTP_FIELD_PROXY_AUTHORIZATION] = FIELD("Proxy-Authorization"),
    [HTTP_FIELD_TE] = FIELD("TE"),
    [HTTP_FIELD_HTTP2_SETTINGS] = FIELD("HTTP2-Settings"),
    [HTTP_FIELD_CONTENT_LENGTH] = FIELD("Content-Length"),
    [HTTP_FIELD_TRANSFER_ENCODING] = FIELD("Transfer-Encoding"),
    [HTTP_FIELD_ACCEPT] = FIELD("Accept"),
};
_Static_assert(ARRAY_SIZE(fields) == HTTP_FIELD_COUNT, "a field has no row");

/* The first letters are compared by themselves, without regard to case, since few are alike: that
 * spares most names the call. */
static enum http_field field_find(struct span name)
{
    for (size_t i = 1; i < ARRAY_SIZE(fields); i++)
        if (name.size == fields[i].size && ((name.data[0] ^ fields[i].name[0]) & ~0x20) == 0 &&
            strncasecmp(name.data, fields[i].name, name.size) == 0)
            return (enum http_field)i;
    return HTTP_FIELD_OTHER;
}

static void header_split(struct span line, const char *colon, struct http_header *ret)
{
    ret->name = span_of(line.data, colon);
    ret->value = span_trim(span_of(colon + 1, line.data + line.size));
    ret->field = field_find(ret->name);
}

int http_header_parse(struct span line, struct http_header *ret, const char **ret_why)
{
    const char *colon;

    if (line.size == 0)
        return bad(ret_why, "a header line is empty");
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return bad(ret_why, "a header is folded over two lines");
    colon = memchr(line.data, ':', line.size);
    if (!colon)
        return bad(ret_why, "a header line has no colon");
    header_split(line, colon, ret);
    if (ret->name.size > 0 && (colon[-1] == ' ' || colon[-1] == '\t'))
        return bad(ret_why, "there is white space between a header's name and its colon");
    if (!http_is_token(ret->name))
        return bad(ret_why, "a header's name has a character that is not allowed there");
    return 0;
}

bool http_next_header(struct span *rest, struct http_header *ret)
{
    struct span line;
    const char *colon;

    if (!http_next_line(rest, &line) || !(colon = memchr(line.data, ':', line.size)))
        return false;
    header_split(line, colon, ret);
    return true;
}

/* -- Connection -- */

bool http_next_element(struct span *list, struct span *ret)
{
    if (list->size == 0)
        return false;
    const char *comma = memchr(list->data, ',', list->size);
    const char *end = list->data + list->size;
    *ret = span_trim(span_of(list->data, comma ? comma : end));
    *list = span_of(comma ? comma + 1 : end, end);
    return true;
}

static int hop_add_element(struct http_hop *hop, struct span element, const char **ret_why)
{
    enum http_field field = field_find(element);

    if (field == HTTP_FIELD_HOST || field == HTTP_FIELD_CONTENT_LENGTH ||
        field == HTTP_FIELD_TRANSFER_ENCODING)
        return bad(ret_why, "Connection names a header that cannot be dropped");
    if (span_is(element, "close"))
        hop->close = true;
    else if (field == HTTP_FIELD_KEEP_ALIVE)
        hop->keep_alive = true;
    else if (field == HTTP_FIELD_UPGRADE)
        hop->upgrade = true;
    else if (http_field_is_hop(field))
        return 0; /* dropped anyway */
    else if (!http_is_token(element))
        return bad(ret_why, "Connection has an element that is not a word");
    else if (hop->n_named == GATE_CONNECTION_NAMES_MAX)
        return bad(ret_why, "Connection names too many headers");
    else
        hop->named[hop->n_named++] = element;
    return 0;
}

int http_hop_add(struct http_hop *hop, struct span list, const char **ret_why)
{
    struct span element;

    while (http_next_element(&list, &element)) {
        int r = element.size > 0 ? hop_add_element(hop, element, ret_why) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

bool http_hop_drops(const struct http_hop *hop, const struct http_header *header)
{
    if (http_field_is_hop(header->field))
        return true;
    for (size_t i = 0; i < hop->n_named; i++)
        if (hop->named[i].size == header->name.size &&
            strncasecmp(hop->named[i].data, header->name.data, header->name.size) == 0)
            return true;
    return false;
}
