/* See hello-filter.h. A hello that comes in one piece, as nearly all do, is judged where it lies.
 */
#include "hello-filter.h"

#include <stdarg.h>
#include <stdio.h>

#include "tls-port.h"
#include "util.h"

#define FIRST_SIZE 2048
#define TLS_FIRST_BYTE 22 /* of every TLS connection: the type of a record with a handshake */

/* RFC 8446, section 6.2 */
#define ALERT_DECODE_ERROR 50
#define ALERT_MISSING_EXTENSION 109
#define ALERT_UNRECOGNIZED_NAME 112

struct hello_filter *hello_filter_new(const struct host *host, uint16_t port, bool exempt)
{
    struct hello_filter *filter = calloc(1, sizeof(*filter));

    if (!filter)
        return NULL;
    filter->host = host;
    filter->required = tls_port_is(port);
    filter->exempt = exempt;
    return filter;
}

struct hello_filter *hello_filter_free(struct hello_filter *filter)
{
    if (filter) {
        free(filter->held);
        free(filter->detail);
    }
    free(filter);
    return NULL;
}

static int refuse(struct hello_filter *filter, enum refusal refusal, unsigned alert,
                  const char *format, ...) PRINTF_LIKE(4, 5);
static int refuse(struct hello_filter *filter, enum refusal refusal, unsigned alert,
                  const char *format, ...)
{
    va_list arguments;

    filter->refusal = refusal;
    filter->alert = alert;
    va_start(arguments, format);
    if (vasprintf(&filter->detail, format, arguments) < 0)
        filter->detail = NULL; /* it is refused without */
    va_end(arguments);
    return -EBADMSG;
}

/* 1, or -EBADMSG. */
static int judge(struct hello_filter *filter, const struct client_hello *hello)
{
    bool literal = filter->host->address.family != AF_UNSPEC;

    if (!hello->has_name)
        return literal ? 1
                       : refuse(filter, REFUSAL_SNI_MISSING, ALERT_MISSING_EXTENSION,
                                "the ClientHello names no server");
    if (hello->name_fault)
        return refuse(filter, REFUSAL_SNI_MISMATCH, ALERT_UNRECOGNIZED_NAME,
                      "what the ClientHello names is no host: %s", hello->name_fault);
    if (literal)
        return refuse(filter, REFUSAL_SNI_MISMATCH, ALERT_UNRECOGNIZED_NAME,
                      "the ClientHello names %s; a connection to an address may name no server",
                      hello->name.name);
    if (!streq(hello->name.name, filter->host->name))
        return refuse(filter, REFUSAL_SNI_MISMATCH, ALERT_UNRECOGNIZED_NAME,
                      "the ClientHello names %s", hello->name.name);
    return 1;
}

/* All that has come. 1, 0 or -EBADMSG as hello_filter_take. */
static int look(struct hello_filter *filter, const char *data, size_t size)
{
    struct client_hello hello;
    const char *why = "";

    if (filter->exempt) {
        filter->unjudged = filter->required || data[0] == TLS_FIRST_BYTE;
        return 1;
    }
    switch (client_hello_read(&filter->reader, data, size, &hello, &why)) {
    case CLIENT_HELLO_MORE:
        return 0;
    case CLIENT_HELLO_NOT_TLS:
        return filter->required ? refuse(filter, REFUSAL_NOT_TLS, 0, "%s", why) : 1;
    case CLIENT_HELLO_MALFORMED:
        return refuse(filter, REFUSAL_NOT_TLS, ALERT_DECODE_ERROR,
                      "it is no ClientHello that can be read without doubt: %s", why);
    case CLIENT_HELLO_TOO_LARGE:
        return refuse(filter, REFUSAL_HELLO_TOO_LARGE, ALERT_DECODE_ERROR, "%s", why);
    case CLIENT_HELLO_DONE:
        break;
    }
    return judge(filter, &hello);
}

static int hold(struct hello_filter *filter, const char *data, size_t size)
{
    size_t wanted = filter->size + size;

    if (wanted > filter->allocated) {
        size_t more = MAX_OF(MAX_OF(filter->allocated * 2, wanted), (size_t)FIRST_SIZE);
        char *held = realloc(filter->held, more);
        if (!held)
            return -ENOMEM;
        filter->held = held;
        filter->allocated = more;
    }
    memcpy(filter->held + filter->size, data, size);
    filter->size = wanted;
    return 0;
}

int hello_filter_take(struct hello_filter *filter, const char *data, size_t size, const char **ret,
                      size_t *ret_size)
{
    int r = 0;

    if (size == 0)
        return 0;
    if (filter->size == 0) {
        r = look(filter, data, size);
        if (r == 0)
            r = hold(filter, data, size);
    } else {
        r = hold(filter, data, size);
        data = filter->held;
        size = filter->size;
        if (r == 0)
            r = look(filter, data, size);
    }
    if (r > 0) {
        *ret = data;
        *ret_size = size;
    }
    return r;
}

int hello_filter_end(struct hello_filter *filter, const char **ret, size_t *ret_size)
{
    /* A first byte alone makes no TLS yet, and on a port of another protocol it may be all. */
    bool begun = filter->size > 1 || (filter->size == 1 && filter->required);

    filter->unjudged = begun && filter->exempt;
    if (begun && !filter->exempt)
        return refuse(filter, REFUSAL_NOT_TLS, ALERT_DECODE_ERROR,
                      "it ended in the middle of its ClientHello");
    *ret = filter->held;
    *ret_size = filter->size;
    return 1;
}
