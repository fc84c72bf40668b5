/* The head of an HTTP/1 request to a proxy (RFC 9112), read strictly: whatever two readers could
 * understand differently is refused. Pure: no allocation, no system call; fuzzed.
 *
 * Spans point into the caller's buffer and live as long as it does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"
#include "host-pattern.h"
#include "http-fields.h"
#include "http-framing.h"

#define HTTP_PORT 80

struct http_request {
    bool connect; /* CONNECT host:port; otherwise absolute-form http */
    struct span method;
    struct host host;
    uint16_t port;
    struct span path; /* of absolute-form: what follows the authority; may be empty or "?..." */
    unsigned version_minor; /* HTTP/1.0 or 1.1 */
    struct span headers;    /* header lines, each with its CRLF, without the last empty line */
    struct http_hop hop;
    bool wants_json; /* Accept names application/json */
    /* The client waits for more on this connection behind the answer, as far as it goes. */
    bool persistent;
    char upgrade[GATE_UPGRADE_MAX + 1]; /* a list of protocols, without HTTP's own; "": none */
    enum http_body_kind body;           /* never HTTP_BODY_UNTIL_CLOSE */
    uint64_t content_length;            /* for HTTP_BODY_LENGTH */
};

/* Looks for the end of the head in what has come so far. Returns its size with the empty line, 0 if
 * it is not whole yet, -EBADMSG with *ret_why as soon as a byte cannot belong to a head (NUL and
 * other controls, CR without LF, LF without CR). `scanned` (at first 0) remembers what was seen, so
 * that a head that trickles in is read once. */
ssize_t http_head_find(const char *data, size_t size, size_t *scanned, const char **ret_why);

/* Parses a whole head of `size` bytes (as http_head_find gives it). 0; -EBADMSG with *ret_why a
 * static sentence; -EMSGSIZE likewise, where a limit was passed. On failure *ret holds what could
 * be read of method, host and port (empty: none), for the record. */
int http_request_parse(const char *data, size_t size, struct http_request *ret,
                       const char **ret_why);

/* How the request goes out. */
enum http_form {
    HTTP_FORM_ORIGIN,   /* to the host itself */
    HTTP_FORM_ABSOLUTE, /* to a parent proxy */
    HTTP_FORM_CONNECT,  /* CONNECT to a parent proxy; no header of the client goes along */
};

/* Writes the head for the next server: Host from the target, headers that are for this hop alone
 * removed, `Connection` and `Upgrade` as the request has them after reading (close, unless it is
 * persistent), and `Proxy-Authorization: <authorization>` unless that is NULL.
 * Returns the size, or -ENOBUFS if `buffer_size` does not hold it; HTTP_REWRITE_EXTRA bytes more
 * than the client's head plus the length of `authorization` are always enough. */
#define HTTP_REWRITE_EXTRA 1024
ssize_t http_request_write(const struct http_request *request, enum http_form form,
                           const char *authorization, char *buffer, size_t buffer_size);

/* -- answers -- */

/* The status code of a response head's first line, or -EBADMSG. */
int http_status_parse(const char *data, size_t size);

/* What of a request decides how its answer is read. */
struct http_asked {
    bool head;              /* HEAD: no body follows, whatever the fields say */
    unsigned version_minor; /* HTTP/1.0 or 1.1 */
    const char *upgrade;    /* as in the request */
};

struct http_answer_head {
    int status;
    unsigned version_minor;
    struct span status_line; /* without its CRLF */
    struct span headers;     /* as in a request */
    struct http_hop hop;
    struct span upgrade; /* of a 101: what it changes to */
    enum http_body_kind body;
    uint64_t content_length; /* for HTTP_BODY_LENGTH */
};

/* Parses a whole head of an answer, as http_head_find gives it. 0, or -EBADMSG with *ret_why. */
int http_answer_parse(const char *data, size_t size, const struct http_asked *asked,
                      struct http_answer_head *ret, const char **ret_why);

/* What the client is told about its connection. */
enum http_connection {
    HTTP_CONNECTION_UNSAID, /* nothing: it stays, as HTTP/1.1 has it */
    HTTP_CONNECTION_CLOSE,
    HTTP_CONNECTION_KEEP,
    HTTP_CONNECTION_UPGRADE,
};

/* Writes it for the client, as HTTP/1.1: without what is for this hop alone, and with `connection`.
 * Returns the size, or -ENOBUFS; HTTP_REWRITE_EXTRA bytes more than the head has are always
 * enough. */
ssize_t http_answer_write(const struct http_answer_head *answer, enum http_connection connection,
                          char *buffer, size_t buffer_size);
