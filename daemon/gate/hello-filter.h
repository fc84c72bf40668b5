/* What a tunnel's client says first, held back until it is judged: on a port that speaks TLS, and
 * wherever it looks like TLS, it must be a ClientHello that names the very host that the tunnel was
 * asked for (and none, if that is an address: RFC 6066 has no names for those). What may pass does
 * so unchanged. Pure but for allocation; fuzzed. */
#pragma once

#include "client-hello.h"
#include "refusal.h"
#include "util.h"

struct hello_filter {
    const struct host *host; /* that was asked for; not owned */
    bool required;           /* its port speaks TLS */
    bool exempt;             /* its rule says sni=any: whatever comes passes. May be changed */
    struct client_hello_reader reader;
    char *held; /* NULL: nothing has come */
    size_t size, allocated;

    bool unjudged;        /* it passed because of `exempt`, and might not have otherwise */
    enum refusal refusal; /* of what did not pass; a timer may add its own */
    unsigned alert;       /* its TLS alert (RFC 8446, section 6.2), 0: none fits */
    char *detail;         /* of the refusal: a phrase, printable; NULL: none */
};

/* NULL: no memory. */
struct hello_filter *hello_filter_new(const struct host *host, uint16_t port, bool exempt);
struct hello_filter *hello_filter_free(struct hello_filter *filter);
DEFINE_CLEANUP(struct hello_filter, hello_filter_free);

/* Takes the client's next bytes. 1: the filter is over, and *ret with *ret_size is all that came
 * (it points into `data` or the filter, whichever it is in); 0: they are held; -EBADMSG: nothing
 * may pass, `refusal` and what follows it say why; -ENOMEM. */
int hello_filter_take(struct hello_filter *filter, const char *data, size_t size, const char **ret,
                      size_t *ret_size);

/* The client will say no more. As above, but never 0. */
int hello_filter_end(struct hello_filter *filter, const char **ret, size_t *ret_size);
