/* What a cage asks its gate about a name, and the answer: RFC 1035, with RFC 6891 as far as to take
 * note of it. Pure; fuzzed. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host.h"

/* A question has one name of at most 255 bytes, and little else: what is longer is none. An answer
 * is the header and the question again and at most this much more, of which an address is 16 bytes
 * and an OPT record 11: nobody is flooded by way of it. */
#define DNS_QUESTION_MAX 512
#define DNS_ANSWER_EXTRA 27
#define DNS_ANSWER_MAX (DNS_QUESTION_MAX + DNS_ANSWER_EXTRA)

enum dns_kind {
    DNS_KIND_A = 1,
    DNS_KIND_AAAA = 28,
};

enum dns_code {
    DNS_CODE_OK = 0,
    DNS_CODE_NO_SUCH_NAME = 3,
    DNS_CODE_REFUSED = 5,
};

struct dns_question {
    uint16_t kind;      /* enum dns_kind, or another one */
    bool internet;      /* class IN */
    bool is_host;       /* the name can be that of a host: `host` is it */
    struct host host;   /* canonical, never an address */
    bool extended;      /* it came with an OPT record */
    size_t size;        /* of the header and the question */
    const uint8_t *raw; /* these bytes, borrowed */
};

/* 0, or -EBADMSG for what is not one whole question: it is dropped, since an answer could only be a
 * guess. */
int dns_question_parse(const uint8_t *data, size_t size, struct dns_question *ret);

/* The answer, with the address if there is one (else an empty answer, or none by `code`). Returns
 * its size. */
size_t dns_answer_write(const struct dns_question *question, enum dns_code code,
                        const struct in_addr *address, uint8_t buffer[static DNS_ANSWER_MAX]);
