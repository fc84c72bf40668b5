/* See dns-message.h. */
#include "dns-message.h"

#include "caged-limits.h"
#include "util.h"

#define HEADER_SIZE 12
#define LABEL_MAX 63
#define NAME_MAX_WIRE 255 /* RFC 1035, 3.1, with the lengths and the root */
#define CLASS_IN 1
#define KIND_OPT 41
#define OPT_SIZE 11
#define ADDRESS_RECORD_SIZE 16
_Static_assert(ADDRESS_RECORD_SIZE + OPT_SIZE == DNS_ANSWER_EXTRA, "the answer's parts");

#define FLAG_RESPONSE 0x8000u
#define FLAGS_OPCODE 0x7800u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RECURSION_DESIRED 0x0100u
#define FLAG_RECURSION_AVAILABLE                                                                   \
    0x0080u /* without it glibc takes an empty answer for a referral                               \
             */
#define FLAG_CHECKING_DISABLED 0x0010u

static uint16_t get16(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static uint8_t *put16(uint8_t *to, unsigned value)
{
    *to++ = (uint8_t)(value >> 8);
    *to++ = (uint8_t)value;
    return to;
}

/* Reads the name at *offset, without compression (a question's name comes first: there is nothing
 * to point to). Dots inside of labels, and all that no host name has, make it no host. -EBADMSG for
 * what is no name at all. */
static int read_name(const uint8_t *data, size_t size, size_t *offset, char *text,
                     size_t *ret_length)
{
    size_t at = *offset, length = 0;

    for (;;) {
        size_t label = at < size ? data[at++] : LABEL_MAX + 1;
        if (label > LABEL_MAX || label > size - at || at + label - *offset > NAME_MAX_WIRE)
            return -EBADMSG;
        if (label == 0)
            break;
        if (length > 0)
            text[length++] = '.';
        for (size_t i = 0; i < label; i++) {
            uint8_t c = data[at + i];
            text[length++] = c == '.' ? '\0' : (char)c; /* NUL: in no host */
        }
        at += label;
    }
    *offset = at;
    *ret_length = length;
    return 0;
}

/* Whether what follows the question begins as an OPT record (RFC 6891, 6.1.2). */
static bool has_opt(const uint8_t *data, size_t size, size_t offset)
{
    return size - offset >= OPT_SIZE && data[offset] == 0 && get16(data + offset + 1) == KIND_OPT;
}

int dns_question_parse(const uint8_t *data, size_t size, struct dns_question *ret)
{
    struct dns_question question = {.raw = data};
    size_t offset = HEADER_SIZE, length;
    char text[NAME_MAX_WIRE];
    const char *why;

    if (size < HEADER_SIZE || size > DNS_QUESTION_MAX)
        return -EBADMSG;
    if (get16(data + 2) & (FLAG_RESPONSE | FLAGS_OPCODE | FLAG_TRUNCATED))
        return -EBADMSG;
    if (get16(data + 4) != 1 || get16(data + 6) != 0 || get16(data + 8) != 0)
        return -EBADMSG;
    if (read_name(data, size, &offset, text, &length) < 0 || size - offset < 4)
        return -EBADMSG;
    question.kind = get16(data + offset);
    question.internet = get16(data + offset + 2) == CLASS_IN;
    question.size = offset + 4;
    question.extended = get16(data + 10) > 0 && has_opt(data, size, question.size);
    question.is_host = host_parse(text, length, &question.host, &why) == 0 &&
                       question.host.address.family == AF_UNSPEC;
    *ret = question;
    return 0;
}

static uint8_t *put_address(uint8_t *to, const struct in_addr *address)
{
    to = put16(to, 0xc000 | HEADER_SIZE); /* the question's name */
    to = put16(to, DNS_KIND_A);
    to = put16(to, CLASS_IN);
    to = put16(to, 0);
    to = put16(to, GATE_NAMES_TTL);
    to = put16(to, sizeof(*address));
    memcpy(to, address, sizeof(*address));
    return to + sizeof(*address);
}

/* The root's name, OPT, how much is taken; version 0, no flags, no options. */
static uint8_t *put_opt(uint8_t *to)
{
    *to++ = 0;
    to = put16(to, KIND_OPT);
    to = put16(to, DNS_QUESTION_MAX);
    memset(to, 0, 6);
    return to + 6;
}

size_t dns_answer_write(const struct dns_question *question, enum dns_code code,
                        const struct in_addr *address, uint8_t buffer[static DNS_ANSWER_MAX])
{
    uint8_t *to = buffer + question->size;
    unsigned kept = get16(question->raw + 2) & (FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);

    memcpy(buffer, question->raw, question->size);
    (void)put16(buffer + 2, FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | kept | code);
    (void)put16(buffer + 6, address != NULL);
    (void)put16(buffer + 8, 0);
    (void)put16(buffer + 10, question->extended);
    if (address)
        to = put_address(to, address);
    if (question->extended)
        to = put_opt(to);
    return (size_t)(to - buffer);
}
