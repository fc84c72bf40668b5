/* The head of an answer to a plain http request; see http-head.h. */
#include <strings.h>

#include "caged-limits.h"
#include "http-head.h"
#include "util.h"

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

int http_status_parse(const char *data, size_t size)
{
    if (size < 13 || memcmp(data, "HTTP/1.", 7) != 0 || (data[7] != '0' && data[7] != '1') ||
        data[8] != ' ' || (data[12] != ' ' && data[12] != '\r'))
        return -EBADMSG;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -EBADMSG;
        status = status * 10 + (data[i] - '0');
    }
    return status >= 100 && status < 600 ? status : -EBADMSG;
}

static int answer_header_account(const struct http_header *h, struct http_answer_head *answer,
                                 struct http_framing *framing, const char **ret_why)
{
    if (h->field == HTTP_FIELD_CONNECTION)
        return http_hop_add(&answer->hop, h->value, ret_why);
    if (h->field == HTTP_FIELD_UPGRADE)
        answer->upgrade = h->value;
    return http_framing_add(framing, h, ret_why);
}

/* RFC 9112, section 6.3, and what is in doubt refused. */
static int answer_frame(struct http_answer_head *answer, const struct http_asked *asked,
                        const struct http_framing *framing, const char **ret_why)
{
    bool framed = framing->n_lengths > 0 || framing->n_codings > 0;

    if (framing->n_codings > 0 && answer->version_minor == 0)
        return bad(ret_why, "it is HTTP/1.0 and has a Transfer-Encoding");
    if (framing->chunked && asked->version_minor == 0 && !asked->head)
        return bad(ret_why, "it is chunked, which HTTP/1.0 clients cannot read");
    if (answer->status < 200 && framed)
        return bad(ret_why, "an interim answer cannot have a body");
    if (answer->status == 204 && (framing->length > 0 || framing->n_codings > 0))
        return bad(ret_why, "an answer with status 204 cannot have a body");
    answer->content_length = framing->length;
    if (asked->head || answer->status < 200 || answer->status == 204 || answer->status == 304)
        answer->body = HTTP_BODY_NONE;
    else if (framing->n_lengths > 0)
        answer->body = framing->length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    else
        answer->body = framing->chunked ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE;
    return 0;
}

/* Whether each protocol of a 101 is one that the request named. */
static bool was_asked_for(struct span wanted, const char *asked)
{
    struct span protocol, offered;

    if (wanted.size == 0)
        return false;
    while (http_next_element(&wanted, &protocol)) {
        struct span offers = {asked, strlen(asked)};
        bool found = false;
        while (!found && http_next_element(&offers, &offered))
            found = offered.size == protocol.size &&
                    strncasecmp(offered.data, protocol.data, protocol.size) == 0;
        if (!found)
            return false;
    }
    return true;
}

static int answer_headers_parse(struct http_answer_head *answer, struct http_framing *framing,
                                const char **ret_why)
{
    struct span rest = answer->headers;
    struct span line;
    struct http_header h;
    unsigned lines = 0;

    while (http_next_line(&rest, &line)) {
        if (++lines > GATE_HEADERS_MAX)
            return bad(ret_why, "there are too many headers");
        int r = http_header_parse(line, &h, ret_why);
        if (r == 0)
            r = answer_header_account(&h, answer, framing, ret_why);
        if (r < 0)
            return r;
    }
    return 0;
}

int http_answer_parse(const char *data, size_t size, const struct http_asked *asked,
                      struct http_answer_head *ret, const char **ret_why)
{
    struct http_answer_head answer = {.status = http_status_parse(data, size)};
    struct http_framing framing = {0};
    struct span rest = {data, size};

    if (answer.status < 0 || !http_next_line(&rest, &answer.status_line))
        return bad(ret_why, "its first line is not that of an HTTP/1 answer");
    answer.version_minor = (unsigned)(data[7] - '0');
    rest.size -= 2; /* the empty line */
    answer.headers = rest;
    int r = answer_headers_parse(&answer, &framing, ret_why);
    if (r == 0)
        r = answer_frame(&answer, asked, &framing, ret_why);
    if (r < 0)
        return r;
    if (answer.status == 101 && !was_asked_for(answer.upgrade, asked->upgrade))
        return bad(ret_why, "it changes the protocol, which nobody asked for");
    *ret = answer;
    return 0;
}
