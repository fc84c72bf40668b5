/* The ClientHello that opens a TLS connection (RFC 8446, sections 4.1.2 and 5.1): where it ends,
 * and the name of the server in it (RFC 6066, section 3). Read strictly: what two readers could
 * understand differently is malformed. Pure: no allocation, no system call; fuzzed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host-pattern.h"

enum client_hello_status {
    CLIENT_HELLO_MORE,      /* it is not whole yet, and nothing is wrong with it so far */
    CLIENT_HELLO_NOT_TLS,   /* another protocol, or a hello older than SSL 3 */
    CLIENT_HELLO_MALFORMED, /* TLS, but not a ClientHello that can be read without doubt */
    CLIENT_HELLO_TOO_LARGE, /* longer than GATE_HELLO_SIZE_MAX, its records' heads included */
    CLIENT_HELLO_DONE,
};

/* How far the records have been read; all zero at first. */
struct client_hello_reader {
    size_t next_record; /* where its head begins */
    size_t collected;   /* bytes of handshake in the records before it */
    size_t wanted;      /* the size of the whole message, 0: not known yet */
};

struct client_hello {
    bool has_name;
    struct host name;       /* canonical; name.name is "" if what was there is no host */
    const char *name_fault; /* then a static sentence that says why, else NULL */
};

/* Reads on in what has come of a connection: `data` is all of it from the first byte, so it only
 * grows from call to call. *ret is set on DONE alone; *ret_why, a static sentence, on NOT_TLS,
 * MALFORMED and TOO_LARGE. MORE comes for fewer than GATE_HELLO_SIZE_MAX bytes only. What follows
 * the hello's last record is not looked at. Once it is not MORE, the answer does not change with
 * what comes later. */
enum client_hello_status client_hello_read(struct client_hello_reader *reader, const void *data,
                                           size_t size, struct client_hello *ret,
                                           const char **ret_why);
