/* The table of refusals. The texts are for two readers: an agent that shows them to its user
 * within seconds, and the operator who can do something about it. */
#include "refusal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

#define AUTHORITY_MAX 272 /* a name, brackets, a port */
#define BODY_MAX (REFUSAL_RESPONSE_MAX - 512)

enum advice {
    ADVICE_NONE,
    ADVICE_HOST,    /* the operator can allow the host */
    ADVICE_DENIED,  /* the operator can take the entry away */
    ADVICE_ADDRESS, /* the operator can allow the address */
    ADVICE_SNI,     /* the operator can have the ClientHello not looked at */
};

struct row {
    const char *code;
    unsigned status;
    const char *phrase; /* of the status line */
    const char *why;
    enum advice advice;
};

static const struct row rows[] = {
    [REFUSAL_NONE] = {"ok", 0, "OK", "", ADVICE_NONE},
    [REFUSAL_HOST_NOT_ALLOWED] = {"host-not-allowed", 403, "Forbidden",
                                  "no entry of allowed_hosts in the agent's card matches this host "
                                  "and port",
                                  ADVICE_HOST},
    [REFUSAL_HOST_DENIED] = {"host-denied", 403, "Forbidden",
                             "an entry of denied_hosts in the agent's card matches this host or "
                             "its address",
                             ADVICE_DENIED},
    [REFUSAL_ADDRESS_NOT_ALLOWED] = {"address-not-allowed", 403, "Forbidden",
                                     "the name is allowed, but it leads to an address that is not "
                                     "on the public internet and that the card does not list",
                                     ADVICE_ADDRESS},
    [REFUSAL_NAME_NOT_RESOLVED] =
        {"name-not-resolved", 502, "Bad Gateway",
         "the host is allowed, but its name could not be resolved to an address", ADVICE_NONE},
    [REFUSAL_DNS_TIMEOUT] = {"dns-timeout", 504, "Gateway Timeout",
                             "the host is allowed, but no name server answered in time",
                             ADVICE_NONE},
    [REFUSAL_DIAL_FAILED] = {"dial-failed", 502, "Bad Gateway",
                             "the host is allowed, but it did not accept the connection",
                             ADVICE_NONE},
    [REFUSAL_DIAL_TIMEOUT] = {"dial-timeout", 504, "Gateway Timeout",
                              "the host is allowed, but it did not answer in time", ADVICE_NONE},
    [REFUSAL_BAD_REQUEST] = {"bad-request", 400, "Bad Request",
                             "the request cannot be read without doubt", ADVICE_NONE},
    [REFUSAL_HEAD_TOO_LARGE] = {"head-too-large", 431, "Request Header Fields Too Large",
                                "the head of the request is too long", ADVICE_NONE},
    [REFUSAL_HEAD_TIMEOUT] = {"head-timeout", 408, "Request Timeout",
                              "the head of the request did not come in time", ADVICE_NONE},
    [REFUSAL_TOO_MANY_CONNECTIONS] =
        {"too-many-connections", 503, "Service Unavailable",
         "this agent has too many connections open; close some and try "
         "again",
         ADVICE_NONE},
    [REFUSAL_PARENT_FAILED] = {"parent-failed", 502, "Bad Gateway",
                               "the host is allowed, but the parent proxy of the card did not "
                               "connect to it",
                               ADVICE_NONE},
    [REFUSAL_BAD_ANSWER] = {"bad-answer", 502, "Bad Gateway",
                            "the connection was made, but the answer cannot be passed on",
                            ADVICE_NONE},
    [REFUSAL_SNI_MISMATCH] = {"sni-mismatch", 403, "Forbidden",
                              "the host is allowed, but the TLS ClientHello is for another server",
                              ADVICE_SNI},
    [REFUSAL_SNI_MISSING] = {"sni-missing", 403, "Forbidden",
                             "the host is allowed, but the TLS ClientHello does not name it",
                             ADVICE_SNI},
    [REFUSAL_NOT_TLS] = {"not-tls", 403, "Forbidden",
                         "the host is allowed, but what was said first is no TLS ClientHello",
                         ADVICE_SNI},
    [REFUSAL_HELLO_TOO_LARGE] = {"hello-too-large", 403, "Forbidden",
                                 "the host is allowed, but the TLS ClientHello is too long",
                                 ADVICE_SNI},
    [REFUSAL_HELLO_TIMEOUT] = {"hello-timeout", 408, "Request Timeout",
                               "the TLS ClientHello did not come in time", ADVICE_NONE},
    [REFUSAL_GATE_FAILED] = {"gate-failed", 503, "Service Unavailable",
                             "the gate has no memory or descriptors left", ADVICE_NONE},
    [REFUSAL_ADDRESS_UNKNOWN] = {"address-unknown", 502, "Bad Gateway",
                                 "no name has this address (any more); look up the name again",
                                 ADVICE_NONE},
    [REFUSAL_CLIENT_GONE] = {"client-gone", 0, "", "the client went away", ADVICE_NONE},
    [REFUSAL_ASK_TIMEOUT] = {"ask-timeout", 403, "Forbidden",
                             "no entry of allowed_hosts matches this host and port, and nobody who "
                             "was asked answered in time",
                             ADVICE_HOST},
    [REFUSAL_TOO_MANY_HELD] = {"too-many-held", 403, "Forbidden",
                               "no entry of allowed_hosts matches this host and port, and too many "
                               "requests wait for an answer already",
                               ADVICE_HOST},
};
_Static_assert(ARRAY_SIZE(rows) == REFUSAL_COUNT, "a refusal has no row");

const char *refusal_code(enum refusal refusal)
{
    return rows[refusal].code;
}

unsigned refusal_status(enum refusal refusal)
{
    return rows[refusal].status;
}

int refusal_from_code(const char *code, enum refusal *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (streq(code, rows[i].code)) {
            *ret = (enum refusal)i;
            return 0;
        }
    return -EINVAL;
}

struct text {
    char *data;
    size_t allocated;
    size_t size;
};

static void put(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct text *t, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(t->data + t->size, t->allocated - t->size, format, arguments);
    va_end(arguments);
    if (n > 0)
        t->size += MIN_OF((size_t)n, t->allocated - t->size - 1);
}

static void put_advice(struct text *t, enum advice advice, const char *authority,
                       const char *agent_id)
{
    if (advice == ADVICE_HOST)
        put(t,
            "To allow it, the agent's operator can add \"%s\" to allowed_hosts in the card of "
            "%s.\n",
            authority, agent_id);
    else if (advice == ADVICE_DENIED)
        put(t,
            "To allow it, the agent's operator can take that entry out of denied_hosts in the card "
            "of %s.\n",
            agent_id);
    else if (advice == ADVICE_ADDRESS)
        put(t,
            "To allow it, the agent's operator can list the address in allowed_hosts, or the name "
            "in "
            "private_hosts, in the card of %s.\n",
            agent_id);
    else if (advice == ADVICE_SNI)
        put(t,
            "To have the ClientHello not looked at, the agent's operator can write \"%s;sni=any\" "
            "in allowed_hosts in the card of %s.\n",
            authority, agent_id);
}

static void put_body(struct text *t, enum refusal refusal, const struct refusal_context *c)
{
    const struct row *row = &rows[refusal];
    bool v6 = strchr(c->host, ':') != NULL;
    char authority[AUTHORITY_MAX] = "";

    if (*c->host) {
        (void)snprintf(authority, sizeof(authority), v6 ? "[%s]:%u" : "%s:%u", c->host, c->port);
        put(t, "caged %s %s for the agent \"%s\": ",
            row->status >= 500 ? "could not reach" : "refused", authority, c->agent_id);
    } else {
        put(t, "caged refused a request of the agent \"%s\": ", c->agent_id);
    }
    put(t, "%s", row->why);
    if (c->detail)
        put(t, " (%s)", c->detail);
    put(t, ".\n");
    put_advice(t, row->advice, authority, c->agent_id);
    put(t, "Code: %s\n", row->code);
}

size_t refusal_response(enum refusal refusal, const struct refusal_context *context,
                        char buffer[static REFUSAL_RESPONSE_MAX])
{
    const struct row *row = &rows[refusal];
    char body_data[BODY_MAX];
    struct text body = {.data = body_data, .allocated = sizeof(body_data)};
    struct text response = {.data = buffer, .allocated = REFUSAL_RESPONSE_MAX};

    put_body(&body, refusal, context);
    put(&response,
        "HTTP/1.1 %u %s\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: %zu\r\n"
        "X-Caged-Reason: %s\r\n"
        "Connection: close\r\n\r\n",
        row->status, row->phrase, body.size, row->code);
    put(&response, "%.*s", (int)body.size, body_data);
    return response.size;
}
