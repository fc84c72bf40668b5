/* The table of refusals. The texts are for two readers: an agent that shows them to its user
 * within seconds, and the operator who can do something about it. */
#include "refusal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "util.h"

#define BODY_MAX (REFUSAL_RESPONSE_MAX - 512)

struct row {
    const char *code;
    unsigned status;
    const char *phrase; /* of the status line */
    const char *why;
    bool offer_card; /* the operator can change it in allowed_hosts */
};

static const struct row rows[] = {
    [REFUSAL_NONE] = {"ok", 0, "OK", "", false},
    [REFUSAL_HOST_NOT_ALLOWED] = {"host-not-allowed", 403, "Forbidden",
                                  "no entry of allowed_hosts in the agent's card matches this host "
                                  "and port",
                                  true},
    [REFUSAL_ADDRESS_NOT_ALLOWED] = {"address-not-allowed", 403, "Forbidden",
                                     "the name is allowed, but it leads to an address that is not "
                                     "on the public internet and that the card does not list",
                                     false},
    [REFUSAL_NAME_NOT_RESOLVED] =
        {"name-not-resolved", 502, "Bad Gateway",
         "the host is allowed, but its name could not be resolved to an address", false},
    [REFUSAL_DNS_TIMEOUT] = {"dns-timeout", 504, "Gateway Timeout",
                             "the host is allowed, but no name server answered in time", false},
    [REFUSAL_DIAL_FAILED] = {"dial-failed", 502, "Bad Gateway",
                             "the host is allowed, but it did not accept the connection", false},
    [REFUSAL_DIAL_TIMEOUT] = {"dial-timeout", 504, "Gateway Timeout",
                              "the host is allowed, but it did not answer in time", false},
    [REFUSAL_BAD_REQUEST] = {"bad-request", 400, "Bad Request",
                             "the request cannot be read without doubt", false},
    [REFUSAL_HEAD_TOO_LARGE] = {"head-too-large", 431, "Request Header Fields Too Large",
                                "the head of the request is too long", false},
    [REFUSAL_HEAD_TIMEOUT] = {"head-timeout", 408, "Request Timeout",
                              "the head of the request did not come in time", false},
    [REFUSAL_TOO_MANY_CONNECTIONS] =
        {"too-many-connections", 503, "Service Unavailable",
         "this agent has too many connections open; close some and try "
         "again",
         false},
    [REFUSAL_PARENT_FAILED] = {"parent-failed", 502, "Bad Gateway",
                               "the host is allowed, but the parent proxy of the card did not "
                               "connect to it",
                               false},
    [REFUSAL_GATE_FAILED] = {"gate-failed", 503, "Service Unavailable",
                             "the gate has no memory or descriptors left", false},
    [REFUSAL_CLIENT_GONE] = {"client-gone", 0, "", "the client went away", false},
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

static void put_body(struct text *t, enum refusal refusal, const struct refusal_context *c)
{
    const struct row *row = &rows[refusal];
    bool v6 = strchr(c->host, ':') != NULL;
    const char *open = v6 ? "[" : "";
    const char *close = v6 ? "]" : "";

    if (*c->host)
        put(t, "caged refused %s%s%s:%u to the agent \"%s\": %s", open, c->host, close, c->port,
            c->agent_id, row->why);
    else
        put(t, "caged refused a request of the agent \"%s\": %s", c->agent_id, row->why);
    if (c->detail)
        put(t, " (%s)", c->detail);
    put(t, ".\n");
    if (row->offer_card)
        put(t,
            "To allow it, the agent's operator can add \"%s%s%s:%u\" to allowed_hosts in the card "
            "of %s.\n",
            open, c->host, close, c->port, c->agent_id);
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
