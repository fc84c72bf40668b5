/* A gate that does what its configuration says, as one that was taken over might. */
#include "scripted-gate.h"

#include <poll.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "util.h"

/* A script without a word: the gate ends before it is ready. */
static bool is_empty(const void *data, size_t size)
{
    struct records_reader reader = {.data = data, .size = size};
    struct record record;

    return records_next(&reader, &record) == 1 && record.size == 0;
}

static bool has(const void *script, size_t size, uint16_t kind)
{
    struct records_reader reader = {.data = script, .size = size};
    struct record record;

    while (records_next(&reader, &record) == 1)
        if (record.type == kind)
            return true;
    return false;
}

/* Until it is killed: what is more than the socket takes stays with the daemon. */
static NORETURN void read_no_more(void)
{
    for (;;)
        (void)pause();
}

/* Sends each message of the script that is of this kind. If one is an UPDATED of all ones, it is
 * sent with the sum instead. */
static bool send_all(const void *script, size_t size, uint16_t kind, const uint64_t *sum)
{
    struct records_reader reader = {.data = script, .size = size};
    struct record record;

    while (records_next(&reader, &record) == 1) {
        uint8_t message[HELPER_MESSAGE_MAX];
        if (record.type != kind)
            continue;
        memcpy(message, record.value, record.size);
        for (size_t i = 8; sum && i < record.size && message[i] == 0xff; i++)
            if (i + 1 == record.size)
                memcpy(message + 8, sum, sizeof(*sum));
        struct pollfd room = {.fd = GATE_FD_CONTROL, .events = POLLOUT};
        while (send(GATE_FD_CONTROL, message, record.size, MSG_NOSIGNAL) < 0)
            if (errno != EAGAIN || poll(&room, 1, -1) < 0)
                return false;
    }
    return true;
}

/* One message of the daemon; `left` is how much of an update is still to come, `sum` of what. */
static bool take(const void *script, size_t script_size, const struct record *record,
                 uint64_t *left, uint64_t *sum)
{
    if (record->type == GATE_ORDER_UPDATE) {
        if (*left > 0 || record_u64(record, left) < 0)
            return false;
        *sum = 0;
        if (!has(script, script_size, SCRIPT_RETORT))
            return true;
        if (!send_all(script, script_size, SCRIPT_RETORT, NULL))
            return false;
        read_no_more();
    }
    if (record->type != GATE_ORDER_PART || record->size == 0 || record->size > *left)
        return false;
    for (size_t i = 0; i < record->size; i++)
        *sum = (*sum + ((const uint8_t *)record->value)[i]) % SCRIPT_SUM_MODULUS;
    *left -= record->size;
    return *left > 0 || send_all(script, script_size, SCRIPT_ANSWER, sum);
}

/* Takes updates until the socket ends. */
static int serve(const void *script, size_t script_size)
{
    struct pollfd ready = {.fd = GATE_FD_CONTROL, .events = POLLIN};
    uint8_t message[HELPER_MESSAGE_MAX];
    uint64_t left = 0, sum = 0;

    for (;;) {
        ssize_t n = recv(GATE_FD_CONTROL, message, sizeof(message), 0);
        if (n < 0 && errno == EAGAIN) {
            (void)poll(&ready, 1, -1);
            continue;
        }
        if (n <= 0)
            return n == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        struct records_reader reader = {.data = message, .size = (size_t)n};
        struct record record;
        if (records_next(&reader, &record) != 1 || reader.offset != reader.size ||
            !take(script, script_size, &record, &left, &sum))
            return EXIT_FAILURE;
    }
}

int scripted_gate_main(void)
{
    const void *data;
    size_t size;

    if (memfd_map_sealed(GATE_FD_CONFIG, SPEC_SIZE_MAX, &data, &size) < 0)
        return EXIT_FAILURE;
    if (is_empty(data, size))
        return EXIT_FAILURE;
    if (!send_all(data, size, SCRIPT_MESSAGE, NULL))
        return EXIT_FAILURE;
    return serve(data, size);
}

bool scripted_gate_is_called(char *const *argv)
{
    return streq(argv[0], "caged-gate");
}

/* -- scripts -- */

static void add_as(struct records_writer *script, uint16_t kind, struct records_writer *message)
{
    assert_int_equal(records_put(script, kind, message->data, message->size), 0);
    records_writer_deinit(message);
}

void script_add(struct records_writer *script, struct records_writer *message)
{
    add_as(script, SCRIPT_MESSAGE, message);
}

void script_add_updated(struct records_writer *script, uint16_t kind, uint64_t n)
{
    struct records_writer w = {0};
    (void)records_put_u64(&w, GATE_MESSAGE_UPDATED, n);
    add_as(script, kind, &w);
}

void script_add_ready(struct records_writer *script)
{
    struct records_writer w = {0};
    (void)records_put(&w, GATE_MESSAGE_READY, NULL, 0);
    script_add(script, &w);
}

void script_add_failed(struct records_writer *script, const char *why)
{
    struct records_writer w = {0};
    (void)records_put_string(&w, GATE_MESSAGE_FAILED, why);
    script_add(script, &w);
}

static void put_subject(struct records_writer *w, const char *host)
{
    (void)records_put_string(w, GATE_MESSAGE_METHOD, "CONNECT");
    (void)records_put_string(w, GATE_MESSAGE_HOST, host);
    (void)records_put_u64(w, GATE_MESSAGE_PORT, 443);
    (void)records_put_string(w, GATE_MESSAGE_ADDRESS, "11.22.33.44");
    (void)records_put_string(w, GATE_MESSAGE_RULE, host);
    (void)records_put_string(w, GATE_MESSAGE_REASON, "ok");
}

void message_put_decision_of(struct records_writer *w, enum gate_verdict verdict, uint64_t request,
                             uint64_t count, const char *host)
{
    (void)records_put_u64(w, GATE_MESSAGE_DECISION, verdict);
    (void)records_put_u64(w, GATE_MESSAGE_REQUEST, request);
    put_subject(w, host);
    (void)records_put_u64(w, GATE_MESSAGE_STATUS, 0);
    (void)records_put_u64(w, GATE_MESSAGE_COUNT, count);
}

void message_put_decision(struct records_writer *w, enum gate_verdict verdict, uint64_t count,
                          const char *host)
{
    message_put_decision_of(w, verdict, count == 1 ? 1 : 0, count, host);
}

void message_put_end_of(struct records_writer *w, uint64_t request, uint64_t count,
                        const char *host)
{
    (void)records_put_u64(w, GATE_MESSAGE_END, request);
    put_subject(w, host);
    (void)records_put_u64(w, GATE_MESSAGE_BYTES_UP, 7);
    (void)records_put_u64(w, GATE_MESSAGE_BYTES_DOWN, INT64_MAX);
    (void)records_put_u64(w, GATE_MESSAGE_DURATION_USEC, 0);
    (void)records_put_u64(w, GATE_MESSAGE_COUNT, count);
}

void message_put_end(struct records_writer *w, uint64_t count, const char *host)
{
    message_put_end_of(w, count == 1 ? 1 : 0, count, host);
}

void script_add_decision(struct records_writer *script, const char *host)
{
    struct records_writer w = {0};
    message_put_decision(&w, GATE_REFUSED, 1, host);
    script_add(script, &w);
}
