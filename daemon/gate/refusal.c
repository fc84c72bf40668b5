/* The table of refusals. The texts are for two readers: an agent that shows them to its user
 * within seconds, and the operator who can do something about it. */
#include "refusal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

#define AUTHORITY_MAX 272 /* a name, brackets, a port */
#define DETAIL_MAX 400    /* of a detail that is longer, so much is told */
#define MESSAGE_MAX 1536
#define BODY_MAX (REFUSAL_RESPONSE_MAX - 512)
#define DOCS "cagedd(8), section REFUSALS"

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
    [REFUSAL_HOST_DENIED] =
        {"host-denied", 403, "Forbidden",
         "an entry of the agent's denied_hosts matches this host or its address", ADVICE_DENIED},
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

/* -- what is said -- */

static void put_authority(struct text *t, const struct refusal_context *c)
{
    bool v6 = strchr(c->host, ':') != NULL;

    put(t, v6 ? "[%s]:%u" : "%s:%u", c->host, c->port);
}

static void put_message(struct text *t, const struct row *row, const struct refusal_context *c)
{
    if (*c->host) {
        put(t, "caged %s ", row->status >= 500 ? "could not reach" : "refused");
        put_authority(t, c);
        put(t, " for the agent \"%s\": ", c->agent_id);
    } else {
        put(t, "caged refused a request of the agent \"%s\": ", c->agent_id);
    }
    put(t, "%s", row->why);
    if (c->detail)
        put(t, " (%.*s)", DETAIL_MAX, c->detail);
    put(t, ".");
}

/* What the operator could do; nothing where that would not help. */
static void put_advice(struct text *t, const struct row *row, const struct refusal_context *c)
{
    char authority_data[AUTHORITY_MAX] = "";
    struct text authority = {.data = authority_data, .allocated = sizeof(authority_data)};

    put_authority(&authority, c);
    if (row->advice == ADVICE_HOST)
        put(t,
            "To allow it, the agent's operator can add \"%s\" to allowed_hosts in the card of %s, "
            "or run: cagectl allow %s %s",
            authority_data, c->agent_id, c->agent_id, authority_data);
    else if (row->advice == ADVICE_DENIED)
        put(t,
            "To allow it, the agent's operator can take that entry out of denied_hosts in the card "
            "of %s and run cagectl reload, which also undoes what cagectl deny added.",
            c->agent_id);
    else if (row->advice == ADVICE_ADDRESS)
        put(t,
            "To allow it, the agent's operator can list the address in allowed_hosts, or the name "
            "in private_hosts, in the card of %s.",
            c->agent_id);
    else if (row->advice == ADVICE_SNI)
        put(t,
            "To have the ClientHello not looked at, the agent's operator can write \"%s;sni=any\" "
            "in allowed_hosts in the card of %s.",
            authority_data, c->agent_id);
}

/* -- as text -- */

static void put_text(struct text *t, const struct row *row, const struct refusal_context *c)
{
    put_message(t, row, c);
    put(t, "\n");
    size_t before = t->size;
    put_advice(t, row, c);
    if (t->size > before)
        put(t, "\n");
    put(t, "Code: %s\n", row->code);
}

/* -- as JSON -- */

static void put_character(struct text *t, char c)
{
    if (t->size + 1 < t->allocated)
        t->data[t->size++] = c;
}

static void put_quoted(struct text *t, const char *s)
{
    put_character(t, '"');
    for (; *s; s++) {
        bool printable = *s >= 0x20 && *s < 0x7f; /* nothing that is told is not */
        if (*s == '"' || *s == '\\')
            put_character(t, '\\');
        put_character(t, printable ? *s : '?');
    }
    put_character(t, '"');
}

static void put_member(struct text *t, const char *name, const char *value)
{
    put(t, ",\"%s\":", name);
    if (*value)
        put_quoted(t, value);
    else
        put(t, "null");
}

static void put_json(struct text *t, const struct row *row, const struct refusal_context *c)
{
    char message_data[MESSAGE_MAX] = "", advice_data[MESSAGE_MAX] = "";
    struct text message = {.data = message_data, .allocated = sizeof(message_data)};
    struct text advice = {.data = advice_data, .allocated = sizeof(advice_data)};

    put_message(&message, row, c);
    put_advice(&advice, row, c);
    put(t, "{\"error\":{\"code\":\"%s\"", row->code);
    put_member(t, "message", message_data);
    put_member(t, "host", c->host);
    put(t, *c->host ? ",\"port\":%u" : ",\"port\":null", c->port);
    put_member(t, "rule", c->rule);
    put_member(t, "advice", advice_data);
    put_member(t, "agent_id", c->agent_id);
    put_member(t, "docs", DOCS);
    put(t, "}}\n");
}

size_t refusal_response(enum refusal refusal, const struct refusal_context *context,
                        char buffer[static REFUSAL_RESPONSE_MAX])
{
    const struct row *row = &rows[refusal];
    char body_data[BODY_MAX];
    struct text body = {.data = body_data, .allocated = sizeof(body_data)};
    struct text response = {.data = buffer, .allocated = REFUSAL_RESPONSE_MAX};

    (context->json ? put_json : put_text)(&body, row, context);
    put(&response,
        "HTTP/1.1 %u %s\r\n"
        "Content-Type: %s\r\n"
        "Content-Length: %zu\r\n"
        "X-Caged-Reason: %s\r\n",
        row->status, row->phrase, context->json ? "application/json" : "text/plain; charset=utf-8",
        body.size, row->code);
    if (context->connection)
        put(&response, "Connection: %s\r\n", context->connection);
    put(&response, "\r\n");
    if (!context->head_alone)
        put(&response, "%.*s", (int)body.size, body_data);
    return response.size;
}
