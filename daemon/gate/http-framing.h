/* Where the body of a message ends, as its fields say (RFC 9112, section 6), read so that no other
 * reader could come to another end: one Content-Length of plain digits, or one Transfer-Encoding,
 * never both, and "chunked" once and last. Pure. */
#pragma once

#include <stdint.h>

#include "http-fields.h"

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* of an answer alone */
};

struct http_framing {
    unsigned n_lengths; /* fields seen */
    unsigned n_codings;
    bool chunked;      /* the last coding is "chunked" */
    bool other_coding; /* there is another one */
    uint64_t length;
};

/* Takes in one field; most mean nothing here. 0, or -EBADMSG with *ret_why. */
int http_framing_add(struct http_framing *framing, const struct http_header *header,
                     const char **ret_why);
