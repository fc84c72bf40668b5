/* See recorder.h. */
#include "recorder.h"

#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"

#define FOLD_MSEC 1000

struct queued_record {
    struct queued_record *next;
    size_t size;
    uint8_t data[];
};

bool recorder_is_blocked(const struct recorder *recorder)
{
    return recorder->first != NULL;
}

bool recorder_is_waiting(const struct recorder *recorder)
{
    return recorder->first || recorder->batch.size > 0;
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

/* A record cannot be sent: that is a fault unless cagedd is on its way out, or gone. */
static void stop_unheard(struct recorder *recorder, int error)
{
    bool gone = recorder->ending || error == -EPIPE || error == -ECONNRESET;

    event_loop_stop(recorder->loop, gone ? EXIT_SUCCESS : EXIT_FAILURE);
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
    recorder->queued += size;
    return event_source_set(recorder->loop, &recorder->source, EPOLLIN | EPOLLOUT);
}

/* Sends or queues a message, or stops the gate. */
static int put_message(struct recorder *recorder, const void *data, size_t size)
{
    /* behind those that wait already */
    int r = recorder_is_blocked(recorder) ? -EAGAIN : send_now(recorder->source.fd, data, size);

    if (r == -EAGAIN)
        r = enqueue(recorder, data, size);
    if (r < 0)
        stop_unheard(recorder, r);
    return r;
}

int recorder_flush(struct recorder *recorder)
{
    int r = 0;

    if (recorder->batch.size > 0)
        r = put_message(recorder, recorder->batch.data, recorder->batch.size);
    recorder->batch.size = 0;
    return r;
}

/* Tells what became of what was put. */
static void tell(struct recorder *recorder)
{
    if (recorder_is_blocked(recorder))
        recorder->calls->blocked(recorder->userdata);
    else
        recorder->calls->sent(recorder->userdata);
}

static void round_over(struct timer *timer)
{
    struct recorder *recorder = CONTAINER_OF(timer, struct recorder, round);

    if (recorder_flush(recorder) == 0)
        tell(recorder);
}

/* Adds the encoded record to what is gathered, or to what is gathered next. */
static int gather(struct recorder *recorder)
{
    const struct records_writer *record = &recorder->record;
    int r = 0;

    if (record->size > HELPER_MESSAGE_MAX)
        return -EMSGSIZE;
    if (recorder->batch.size + record->size > HELPER_MESSAGE_MAX)
        r = recorder_flush(recorder);
    return r < 0 ? r : records_append(&recorder->batch, record);
}

static int put_record(void *user, const struct network_record *record)
{
    struct recorder *recorder = user;

    recorder->record.size = 0;
    int r = network_record_encode(&recorder->record, record);
    if (r == 0)
        r = gather(recorder);
    if (r < 0)
        stop_unheard(recorder, r);
    else if (recorder->round.position == 0)
        timer_set(recorder->loop, &recorder->round, 0);
    return r;
}

static int send_sums(struct recorder *recorder)
{
    return record_fold_drain(&recorder->fold, put_record, recorder);
}

/* While the socket takes nothing, all that comes would be of no use but to fill the queue. */
static void second_over(struct timer *timer)
{
    struct recorder *recorder = CONTAINER_OF(timer, struct recorder, second);

    if (recorder_is_blocked(recorder))
        timer_set(recorder->loop, &recorder->second, FOLD_MSEC);
    else
        (void)send_sums(recorder);
}

/* The socket takes messages again. */
static void send_queue(struct recorder *recorder)
{
    while (recorder->first) {
        struct queued_record *record = recorder->first;
        int r = send_now(recorder->source.fd, record->data, record->size);
        if (r == -EAGAIN)
            return;
        if (r < 0) {
            stop_unheard(recorder, r);
            return;
        }
        recorder->first = record->next;
        recorder->queued -= record->size;
        if (!recorder->first)
            recorder->last = &recorder->first;
        free(record);
    }
    if (recorder_flush(recorder) < 0 || recorder_is_blocked(recorder))
        return;
    if (recorder->ending) {
        event_loop_stop(recorder->loop, EXIT_SUCCESS);
        return;
    }
    if (event_source_set(recorder->loop, &recorder->source, EPOLLIN) < 0)
        event_loop_stop(recorder->loop, EXIT_FAILURE);
    tell(recorder);
}

/* cagedd closed its sending side, and may still listen: what is under way ends and is recorded. */
static void begin_end(struct recorder *recorder)
{
    recorder->ending = true;
    recorder->calls->ended(recorder->userdata);
    (void)send_sums(recorder);
    (void)recorder_flush(recorder);
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
    if (n == 0 && !recorder->ending) {
        begin_end(recorder);
    } else if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        recorder->ending = true; /* what is said now may go unheard */
        event_loop_stop(recorder->loop, EXIT_SUCCESS);
    } else if (n < 0 || (size_t)n > sizeof(message) ||
               recorder->calls->told(recorder->userdata, message, (size_t)n) < 0) {
        event_loop_stop(recorder->loop, EXIT_FAILURE);
    }
    return true;
}

static void control_ready(struct event_source *source, uint32_t events)
{
    struct recorder *recorder = CONTAINER_OF(source, struct recorder, source);

    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && receive(recorder))
        return;
    if (events & EPOLLOUT)
        send_queue(recorder);
}

int recorder_init(struct recorder *recorder, struct event_loop *loop, int control_fd,
                  const struct recorder_calls *calls, void *userdata)
{
    *recorder = (struct recorder){
        .loop = loop,
        .source = {.fd = control_fd, .ready = control_ready},
        .round.expired = round_over,
        .second.expired = second_over,
        .calls = calls,
        .userdata = userdata,
    };
    recorder->last = &recorder->first;
    record_fold_init(&recorder->fold, event_loop_now());
    return event_source_set(loop, &recorder->source, EPOLLIN);
}

void recorder_deinit(struct recorder *recorder)
{
    (void)send_sums(recorder);
    (void)recorder_flush(recorder);
    timer_clear(recorder->loop, &recorder->round);
    timer_clear(recorder->loop, &recorder->second);
    record_fold_deinit(&recorder->fold);
    event_source_remove(recorder->loop, &recorder->source);
    records_writer_deinit(&recorder->batch);
    records_writer_deinit(&recorder->record);
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

int recorder_put(struct recorder *recorder, const struct network_record *record)
{
    bool full = recorder->queued > GATE_RECORDS_UNSENT_MAX;

    if (record_fold_lets(&recorder->fold, record, event_loop_now(), full))
        return put_record(recorder, record);
    record_fold_add(&recorder->fold, record);
    if (recorder->second.position == 0)
        timer_set(recorder->loop, &recorder->second, FOLD_MSEC);
    return 0;
}

int recorder_put_updated(struct recorder *recorder, uint64_t n_ended)
{
    struct records_writer w = {0};
    int r = send_sums(recorder);

    if (r == 0)
        r = recorder_flush(recorder);
    if (r < 0)
        return r;
    r = records_put_u64(&w, GATE_MESSAGE_UPDATED, n_ended);
    if (r < 0)
        stop_unheard(recorder, r);
    else
        r = put_message(recorder, w.data, w.size);
    records_writer_deinit(&w);
    return r;
}
