/* The URI of a parent proxy and its Basic authorization (RFC 7617). */
#include "gate-config.h"

#include <stdio.h>

#include "base64.h"
#include "caged-limits.h"

/* Percent-decodes in place (RFC 3986). Returns the new size, or -EBADMSG: what would be a control
 * character in a header is refused too. */
static ssize_t percent_decode(char *text, size_t size)
{
    size_t out = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < size ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EBADMSG;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return -EBADMSG;
        text[out++] = c;
    }
    return (ssize_t)out;
}

static int encode(const char *plain, size_t size, char **ret)
{
    AUTO_FREE char *encoded = base64_encode(plain, size);
    char *text;

    if (!encoded || asprintf(&text, "Basic %s", encoded) < 0)
        return -ENOMEM;
    *ret = text;
    return 0;
}

int gate_parent_authorization(const char *userpass, char **ret, const char **ret_why)
{
    size_t size = strlen(userpass);
    bool good = size <= PROXY_AUTH_SIZE_MAX && userpass[0] != ':' && strchr(userpass, ':');

    for (size_t i = 0; i < size; i++)
        good = good && (unsigned char)userpass[i] >= 0x20 && userpass[i] != 0x7f;
    if (!good) {
        *ret_why = "the parent proxy's authorization is not user:password";
        return -EBADMSG;
    }
    return encode(userpass, size, ret);
}

static int authorization_new(const char *userinfo, size_t size, char **ret, const char **ret_why)
{
    AUTO_FREE char *plain = strndup(userinfo, size);
    if (!plain)
        return -ENOMEM;
    ssize_t n = percent_decode(plain, size);
    if (n < 0) {
        *ret_why = "the user information of the parent proxy is not well percent-encoded";
        return -EBADMSG;
    }
    return encode(plain, (size_t)n, ret);
}

int gate_parent_parse(const char *uri, struct endpoint *ret, char **ret_authorization,
                      const char **ret_why)
{
    AUTO_FREE char *authorization = NULL;
    struct endpoint parent;

    if (!has_prefix(uri, "http://")) {
        *ret_why = "the parent proxy is not http://[user:password@]host:port";
        return -EBADMSG;
    }
    const char *start = uri + strlen("http://");
    const char *end = start + strcspn(start, "/");
    if (end[0] == '/' && end[1] != '\0') {
        *ret_why = "the parent proxy's URI has a path";
        return -EBADMSG;
    }
    const char *at = memrchr(start, '@', (size_t)(end - start));
    if (at) {
        int r = authorization_new(start, (size_t)(at - start), &authorization, ret_why);
        if (r < 0)
            return r;
        start = at + 1;
    }
    if (host_authority_parse(start, (size_t)(end - start), 0, &parent.host, &parent.port, ret_why) <
        0)
        return -EBADMSG;
    *ret = parent;
    *ret_authorization = TAKE_PTR(authorization);
    return 0;
}
