/* Where the body of a message ends: Content-Length or the chunked coding (RFC 9112, section 7.1),
 * read byte by byte as it passes. Nothing of it is changed. Pure; fuzzed with the heads. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "http-framing.h"

enum http_body_state {
    HTTP_BODY_STATE_DATA,       /* `left` bytes of content */
    HTTP_BODY_STATE_SIZE,       /* hexadecimal digits of a chunk's size */
    HTTP_BODY_STATE_EXTENSION,  /* from ";" to the end of the size line */
    HTTP_BODY_STATE_SIZE_LF,    /* the line feed of the size line */
    HTTP_BODY_STATE_CHUNK,      /* `left` bytes of a chunk */
    HTTP_BODY_STATE_CHUNK_CR,   /* the line end behind a chunk */
    HTTP_BODY_STATE_CHUNK_LF,   /*   and its second byte */
    HTTP_BODY_STATE_TRAILER,    /* the start of a trailer line, or of the last, empty one */
    HTTP_BODY_STATE_NAME,       /* in the name of a trailer */
    HTTP_BODY_STATE_FIELD,      /* behind its colon */
    HTTP_BODY_STATE_FIELD_LF,   /* the line feed of a trailer line */
    HTTP_BODY_STATE_TRAILER_LF, /* the line feed of the empty line */
    HTTP_BODY_STATE_END,
};

#define HTTP_TRAILER_NAME_SIZE 20 /* longer than any name that may not be there */

struct http_body {
    enum http_body_state state;
    uint64_t left;
    unsigned digits; /* of the size being read */
    size_t overhead; /* bytes of extensions (of one line) and of trailers (of all) */
    char name[HTTP_TRAILER_NAME_SIZE]; /* the start of a trailer's name */
    size_t name_size;
};

/* `length` is of HTTP_BODY_LENGTH. With HTTP_BODY_UNTIL_CLOSE it has no end to be found. */
void http_body_init(struct http_body *body, enum http_body_kind kind, uint64_t length);

static inline bool http_body_ended(const struct http_body *body)
{
    return body->state == HTTP_BODY_STATE_END;
}

/* How many of these bytes belong to the body; fewer than `size` only where it ended. -EBADMSG if
 * the coding is broken, or a trailer is one that frames, routes or authorizes a message (RFC 9110,
 * section 6.5.1). */
ssize_t http_body_consume(struct http_body *body, const char *data, size_t size);
