/* See http-framing.h. */
#include "http-framing.h"

#include "util.h"

#define LENGTH_DIGITS_MAX 18 /* below 2^63 */

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

static int add_length(struct http_framing *framing, struct span value, const char **ret_why)
{
    uint64_t length = 0;

    if (framing->n_lengths++ > 0)
        return bad(ret_why, "there are two Content-Length headers");
    if (value.size == 0 || value.size > LENGTH_DIGITS_MAX)
        return bad(ret_why, "Content-Length is not a number, or far too large");
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return bad(ret_why, "Content-Length is not one decimal number");
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    framing->length = length;
    return 0;
}

static int add_codings(struct http_framing *framing, struct span list, const char **ret_why)
{
    struct span coding;

    if (framing->n_codings++ > 0)
        return bad(ret_why, "there are two Transfer-Encoding headers");
    if (list.size == 0 || list.data[list.size - 1] == ',')
        return bad(ret_why, "Transfer-Encoding has an empty element");
    while (http_next_element(&list, &coding)) {
        if (!http_is_token(coding))
            return bad(ret_why, "Transfer-Encoding has a coding that is not one word");
        if (framing->chunked)
            return bad(ret_why, "Transfer-Encoding has something behind \"chunked\"");
        if (span_is(coding, "chunked"))
            framing->chunked = true;
        else
            framing->other_coding = true;
    }
    return 0;
}

int http_framing_add(struct http_framing *framing, const struct http_header *header,
                     const char **ret_why)
{
    int r = 0;

    if (header->field == HTTP_FIELD_CONTENT_LENGTH)
        r = add_length(framing, header->value, ret_why);
    else if (header->field == HTTP_FIELD_TRANSFER_ENCODING)
        r = add_codings(framing, header->value, ret_why);
    if (r == 0 && framing->n_lengths > 0 && framing->n_codings > 0)
        return bad(ret_why, "there are both Content-Length and Transfer-Encoding");
    return r;
}
