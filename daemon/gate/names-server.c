/* See names-server.h. */
#include "names-server.h"

#include <arpa/inet.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "dns-message.h"
#include "gate.h"
#include "policy.h"
#include "refusal.h"

#define QUESTION_BATCH 32 /* then connections have their turn */

/* Each refusal has its record before its answer. False: the gate is about to end, or its records
 * wait. */
static bool record_refusal(struct gate *gate, const struct dns_question *question,
                           const struct allow_rule *denial)
{
    enum refusal refusal = !question->is_host ? REFUSAL_BAD_REQUEST
                           : denial           ? REFUSAL_HOST_DENIED
                                              : REFUSAL_HOST_NOT_ALLOWED;
    const struct network_record record = {
        .verdict = GATE_REFUSED,
        .request = ++gate->n_requests,
        .method = "dns",
        .host = question->host.name,
        .address = "",
        .rule = denial ? denial->text : "",
        .reason = refusal_code(refusal),
        .count = 1,
    };
    bool done = recorder_put(&gate->recorder, &record) == 0 && recorder_flush(&gate->recorder) == 0;

    gate_update_listeners(gate);
    return done;
}

/* An allowed name has one address, an IPv4 one, and nothing else. A name without memory for it is
 * not answered: it will be asked again. */
static void answer(struct names_server *server, const struct dns_question *question,
                   const struct sockaddr_in *from)
{
    uint8_t buffer[DNS_ANSWER_MAX];
    enum dns_code code = DNS_CODE_OK;
    const struct allow_rule *denial = NULL;
    bool found = false;
    struct in_addr address;

    if (!question->internet) {
        code = DNS_CODE_REFUSED;
    } else if (!question->is_host ||
               !policy_name_is_allowed(server->gate->config, &question->host, &denial)) {
        code = DNS_CODE_NO_SUCH_NAME;
        if (question->kind != DNS_KIND_AAAA && !record_refusal(server->gate, question, denial))
            return;
    } else if (question->kind == DNS_KIND_A) {
        found = names_table_assign(server->table, question->host.name, &address) == 0;
        if (!found)
            return;
    }
    size_t size = dns_answer_write(question, code, found ? &address : NULL, buffer);
    (void)sendto(server->source.fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                 (const struct sockaddr *)from, sizeof(*from));
}

static void questions_ready(struct event_source *source, uint32_t events)
{
    struct names_server *server = CONTAINER_OF(source, struct names_server, source);

    /* Also what an earlier answer brought back as an error (a port that is closed by now) is taken
     * off by recvfrom(2). */
    for (int i = 0; i < QUESTION_BATCH && source->added; i++) {
        uint8_t data[DNS_QUESTION_MAX + 1];
        struct sockaddr_in from;
        socklen_t from_size = sizeof(from);
        struct dns_question question;
        ssize_t n = recvfrom(source->fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from,
                             &from_size);
        if (n < 0 && (errno == EAGAIN || errno == ENOMEM))
            return;
        if (n >= 0 && dns_question_parse(data, (size_t)n, &question) == 0)
            answer(server, &question, &from);
    }
}

int names_server_listen(struct names_server *server, bool on)
{
    if (on)
        return event_source_set(server->gate->loop, &server->source, EPOLLIN);
    event_source_remove(server->gate->loop, &server->source);
    return 0;
}

int names_server_init(struct names_server *server, struct gate *gate, int fd)
{
    uint32_t lot;

    *server = (struct names_server){
        .gate = gate,
        .source = {.fd = fd, .ready = questions_ready},
    };
    if (getrandom(&lot, sizeof(lot), 0) != sizeof(lot))
        return negative_errno();
    int r = names_table_new(lot, &server->table);
    return r < 0 ? r : names_server_listen(server, true);
}

void names_server_deinit(struct names_server *server)
{
    if (server->gate)
        event_source_remove(server->gate->loop, &server->source);
    server->table = names_table_free(server->table);
}
