/* The words of a head: pieces of text without owner, lines, header fields and lists (RFC 9110,
 * section 5). Pure. Spans point into the caller's buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "caged-limits.h"

struct span {
    const char *data;
    size_t size;
};

static inline struct span span_of(const char *start, const char *end)
{
    return (struct span){start, (size_t)(end - start)};
}

/* Without regard to case. */
bool span_is(struct span s, const char *text);
bool span_has_prefix(struct span s, const char *prefix);

bool http_is_token(struct span s); /* RFC 9110, section 5.6.2 */

/* The fields that mean something to a proxy. */
enum http_field {
    HTTP_FIELD_OTHER,
    /* these are for one hop alone (RFC 9110, section 7.6.1), or are made anew for each */
    HTTP_FIELD_HOST,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_KEEP_ALIVE,
    HTTP_FIELD_PROXY_CONNECTION,
    HTTP_FIELD_UPGRADE,
    HTTP_FIELD_PROXY_AUTHORIZATION,
    HTTP_FIELD_TE,
    HTTP_FIELD_HTTP2_SETTINGS,
    /* and these pass */
    HTTP_FIELD_CONTENT_LENGTH,
    HTTP_FIELD_TRANSFER_ENCODING,
    HTTP_FIELD_ACCEPT,
    HTTP_FIELD_COUNT,
};

static inline bool http_field_is_hop(enum http_field field)
{
    return field != HTTP_FIELD_OTHER && field < HTTP_FIELD_CONTENT_LENGTH;
}

struct http_header {
    struct span name;
    struct span value; /* without the white space around it */
    enum http_field field;
};

/* Takes the next line, without its CRLF, off the front. False at the end. */
bool http_next_line(struct span *rest, struct span *ret);

/* 0, or -EBADMSG with *ret_why a static sentence: folded, no colon, a name that is no token. */
int http_header_parse(struct span line, struct http_header *ret, const char **ret_why);

/* The next of header lines that were already parsed once. False at the end. */
bool http_next_header(struct span *rest, struct http_header *ret);

/* Takes the next element, trimmed and maybe empty, off a comma-separated list. */
bool http_next_element(struct span *list, struct span *ret);

/* What all the Connection fields of a head say together. */
struct http_hop {
    bool close, keep_alive, upgrade;
    struct span
        named[GATE_CONNECTION_NAMES_MAX]; /* fields that they take away, other than the usual */
    size_t n_named;
};

/* Adds the value of one Connection field (RFC 9110, section 7.6.1). It may not take away what
 * frames the message or names its host. 0, or -EBADMSG with *ret_why. */
int http_hop_add(struct http_hop *hop, struct span list, const char **ret_why);

/* Whether the field is for this hop alone: by its name, or because Connection names it. */
bool http_hop_drops(const struct http_hop *hop, const struct http_header *header);
