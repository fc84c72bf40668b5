/* The words of a head: pieces of text without owner, lines, header fields and lists (RFC 9110,
 * section 5). Pure. Spans point into the caller's buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct span {
    const char *data;
    size_t size;
};

struct http_header {
    struct span name;
    struct span value; /* without the white space around it */
};

static inline struct span span_of(const char *start, const char *end)
{
    return (struct span){start, (size_t)(end - start)};
}

/* Without regard to case. */
bool span_is(struct span s, const char *text);
bool span_has_prefix(struct span s, const char *prefix);

bool http_is_token(struct span s); /* RFC 9110, section 5.6.2 */

/* Takes the next line, without its CRLF, off the front. False at the end. */
bool http_next_line(struct span *rest, struct span *ret);

/* 0, or -EBADMSG with *ret_why a static sentence: folded, no colon, a name that is no token. */
int http_header_parse(struct span line, struct http_header *ret, const char **ret_why);

/* The next of header lines that were already parsed once. False at the end. */
bool http_next_header(struct span *rest, struct http_header *ret);

/* Whether the header is for this hop alone (RFC 9110, section 7.6.1): by its name, or because a
 * Connection header among `headers` names it. */
bool http_is_hop_header(struct span headers, struct span name);

/* A Connection header may not take away what frames the message or names its host. 0, or -EBADMSG
 * with *ret_why. */
int http_connection_check(struct span list, const char **ret_why);
