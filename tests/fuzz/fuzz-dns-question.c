/* Any datagram as a question for a name: no crash, and the promises of daemon/gate/dns-message.h
 * hold: a host's name is canonical, an answer is not longer than it says, begins with the question,
 * and is no question. */
#include "daemon/gate/dns-message.h"
#include "fuzz.h"
#include "util.h"

static void check_host(const struct host *host)
{
    struct host again;
    const char *why;

    require(host->address.family == AF_UNSPEC);
    require(host_parse(host->name, strlen(host->name), &again, &why) == 0);
    require(streq(host->name, again.name));
}

static void check_answer(const struct dns_question *question, enum dns_code code,
                         const struct in_addr *address)
{
    uint8_t buffer[DNS_ANSWER_MAX];
    struct dns_question none;
    size_t size = dns_answer_write(question, code, address, buffer);

    require(size <= question->size + DNS_ANSWER_EXTRA && size <= sizeof(buffer));
    require(memcmp(buffer, question->raw, 2) == 0);
    require(memcmp(buffer + 12, question->raw + 12, question->size - 12) == 0);
    require((buffer[3] & 15) == code && buffer[7] == (address != NULL));
    require(dns_question_parse(buffer, size, &none) == -EBADMSG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct in_addr address = {.s_addr = 0x010212c6};
    struct dns_question question;
    int r = dns_question_parse(data, size, &question);

    require(r == 0 || r == -EBADMSG);
    if (r < 0)
        return 0;
    require(question.raw == data && question.size <= size && size <= DNS_QUESTION_MAX);
    if (question.is_host)
        check_host(&question.host);
    check_answer(&question, DNS_CODE_OK, &address);
    check_answer(&question, DNS_CODE_NO_SUCH_NAME, NULL);
    return 0;
}
