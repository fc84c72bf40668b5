/* See recorder.h. */
#include "recorder.h"

#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "gate-proto.h"
#include "records.h"

struct queued_record {
    struct queued_record *next;
    size_t size;
    uint8_t data[];
};

bool recorder_is_blocked(const struct recorder *recorder)
{
    return recorder->first != NULL;
}

/* Each call asks not to wait, so that it does not matter how cagedd made the socket. */
static int send_now(int fd, const void *data, size_t size)
{
    for (;;) {
        if (send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno != EINTR)
            return negative_errno();
    }
}

/* A record cannot be sent: that is a fault unless cagedd is on its way out anyway. */
static void stop_unheard(struct recorder *recorder)
{
    event_loop_stop(recorder->loop, recorder->ending ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void flush(struct recorder *recorder)
{
    while (recorder->first) {
        struct queued_record *record = recorder->first;
        int r = send_now(recorder->source.fd, record->data, record->size);
        if (r == -EAGAIN)
            return;
        if (r < 0) {
            stop_unheard(recorder);
            return;
        }
        recorder->first = record->next;
        if (!recorder->first)
            recorder->last = &recorder->first;
        free(record);
    }
    if (recorder->ending) {
        event_loop_stop(recorder->loop, EXIT_SUCCESS);
        return;
    }
    if (event_source_set(recorder->loop, &recorder->source, EPOLLIN) < 0)
        event_loop_stop(recorder->loop, EXIT_FAILURE);
    recorder->calls->drained(recorder->userdata);
}

/* cagedd closed its sending side, and may still listen: what is under way ends and is recorded. */
static void begin_end(struct recorder *recorder)
{
    recorder->ending = true;
    recorder->calls->ended(recorder->userdata);
    if (!recorder->first || event_source_set(recorder->loop, &recorder->source, EPOLLOUT) < 0)
        event_loop_stop(recorder->loop, EXIT_SUCCESS);
}

/* What came: nothing (false: look at the events that are left), a message, the end, or a fault. If
 * cagedd went with records unread, its end is seen as ECONNRESET (unix(7)). */
static bool receive(struct recorder *recorder)
{
    uint8_t message[HELPER_MESSAGE_MAX];
    ssize_t n = recv(recorder->source.fd, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n == 0 && !recorder->ending)
        begin_end(recorder);
    else if (n == 0 || (n < 0 && errno == ECONNRESET))
        event_loop_stop(recorder->loop, EXIT_SUCCESS);
    else if (n < 0 || (size_t)n > sizeof(message) ||
             recorder->calls->told(recorder->userdata, message, (size_t)n) < 0)
        event_loop_stop(recorder->loop, EXIT_FAILURE);
    return true;
}

static void control_ready(struct event_source *source, uint32_t events)
{
    struct recorder *recorder = CONTAINER_OF(source, struct recorder, source);

    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && receive(recorder))
        return;
    if (events & EPOLLOUT)
        flush(recorder);
}

int recorder_init(struct recorder *recorder, struct event_loop *loop, int control_fd,
                  const struct recorder_calls *calls, void *userdata)
{
    *recorder = (struct recorder){
        .loop = loop,
        .source = {.fd = control_fd, .ready = control_ready},
        .calls = calls,
        .userdata = userdata,
    };
    recorder->last = &recorder->first;
    return event_source_set(loop, &recorder->source, EPOLLIN);
}

void recorder_deinit(struct recorder *recorder)
{
    event_source_remove(recorder->loop, &recorder->source);
    while (recorder->first) {
        struct queued_record *record = recorder->first;
        recorder->first = record->next;
        free(record);
    }
}

int recorder_send_ready(struct recorder *recorder)
{
    struct records_writer w = {0};
    int r = records_put(&w, GATE_MESSAGE_READY, NULL, 0);
    if (r == 0)
        r = send_now(recorder->source.fd, w.data, w.size);
    records_writer_deinit(&w);
    return r;
}

void recorder_send_failed(int control_fd, const char *why)
{
    struct records_writer w = {0};
    if (records_put_string(&w, GATE_MESSAGE_FAILED, why) == 0)
        (void)send_now(control_fd, w.data, w.size);
    records_writer_deinit(&w);
}

static int enqueue(struct recorder *recorder, const void *data, size_t size)
{
    struct queued_record *record = malloc(sizeof(*record) + size);
    if (!record)
        return -ENOMEM;
    record->next = NULL;
    record->size = size;
    memcpy(record->data, data, size);
    *recorder->last = record;
    recorder->last = &record->next;
    return event_source_set(recorder->loop, &recorder->source, EPOLLIN | EPOLLOUT);
}

static int decision_encode(struct records_writer *w, const struct decision *d)
{
    records_put_u64(w, GATE_MESSAGE_DECISION, d->refusal == REFUSAL_NONE);
    records_put_string(w, GATE_MESSAGE_METHOD, d->method);
    records_put_string(w, GATE_MESSAGE_HOST, d->host);
    records_put_u64(w, GATE_MESSAGE_PORT, d->port);
    records_put_string(w, GATE_MESSAGE_ADDRESS, d->address);
    records_put_string(w, GATE_MESSAGE_RULE, d->rule);
    records_put_string(w, GATE_MESSAGE_REASON, refusal_code(d->refusal));
    return records_put_u64(w, GATE_MESSAGE_STATUS, d->status);
}

/* Sends or queues what was encoded (`r` says how that went), or stops the gate. */
static int put(struct recorder *recorder, int r, struct records_writer *w)
{
    if (r == 0 && w->size > HELPER_MESSAGE_MAX)
        r = -EMSGSIZE;
    if (r == 0 && !recorder_is_blocked(recorder))
        r = send_now(recorder->source.fd, w->data, w->size);
    else if (r == 0)
        r = -EAGAIN; /* behind those that wait already */
    if (r == -EAGAIN)
        r = enqueue(recorder, w->data, w->size);
    records_writer_deinit(w);
    if (r < 0)
        stop_unheard(recorder);
    return r;
}

int recorder_put(struct recorder *recorder, const struct decision *decision)
{
    struct records_writer w = {0};

    return put(recorder, decision_encode(&w, decision), &w);
}

int recorder_put_updated(struct recorder *recorder, uint64_t n_ended)
{
    struct records_writer w = {0};

    return put(recorder, records_put_u64(&w, GATE_MESSAGE_UPDATED, n_ended), &w);
}
