/* Every way in which the gate says no: one table of stable code, HTTP status and text. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum refusal {
    REFUSAL_NONE, /* allowed: code "ok" */
    REFUSAL_HOST_NOT_ALLOWED,
    REFUSAL_HOST_DENIED,
    REFUSAL_ADDRESS_NOT_ALLOWED,
    REFUSAL_NAME_NOT_RESOLVED,
    REFUSAL_DNS_TIMEOUT,
    REFUSAL_DIAL_FAILED,
    REFUSAL_DIAL_TIMEOUT,
    REFUSAL_BAD_REQUEST,
    REFUSAL_HEAD_TOO_LARGE,
    REFUSAL_HEAD_TIMEOUT,
    REFUSAL_TOO_MANY_CONNECTIONS,
    REFUSAL_PARENT_FAILED,
    REFUSAL_BAD_ANSWER,   /* sent behind the record that allowed the request: no record has it */
    REFUSAL_SNI_MISMATCH, /* this and the next four: of a tunnel's first bytes (hello-filter.h) */
    REFUSAL_SNI_MISSING,
    REFUSAL_NOT_TLS,
    REFUSAL_HELLO_TOO_LARGE,
    REFUSAL_HELLO_TIMEOUT,
    REFUSAL_GATE_FAILED,
    REFUSAL_ADDRESS_UNKNOWN, /* a synthetic address that no name has: a connection without HTTP */
    REFUSAL_CLIENT_GONE,     /* for the record alone: there is nobody left to answer */
    REFUSAL_ASK_TIMEOUT,
    REFUSAL_TOO_MANY_HELD,
    REFUSAL_COUNT,
};

const char *refusal_code(enum refusal refusal); /* "host-not-allowed" */
unsigned refusal_status(enum refusal refusal);  /* 403; 0 for NONE and CLIENT_GONE */
int refusal_from_code(const char *code, enum refusal *ret);

/* What a refusal is about, and how the client is told. */
struct refusal_context {
    const char *agent_id;
    const char *host; /* canonical; "" if none could be read */
    uint16_t port;
    const char *rule;       /* the entry that decided; "" if none did */
    const char *detail;     /* a phrase that goes behind the text, printable; may be NULL */
    bool json;              /* the client wants the body as JSON, not as text */
    bool head_alone;        /* the answer to HEAD: no body goes along */
    const char *connection; /* of the field Connection; NULL: no such field */
};

#define REFUSAL_RESPONSE_MAX 4096

/* The whole response, head and body. Returns its size (always fits, details are cut). */
size_t refusal_response(enum refusal refusal, const struct refusal_context *context,
                        char buffer[static REFUSAL_RESPONSE_MAX]);
