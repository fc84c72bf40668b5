/* What waits to be written to the log.
 *
 * One mutex guards everything that both threads see. While the writer works on a record it holds no
 * lock; the record stays the first of its share until it is written, and a share that has records
 * is never destroyed. */
#include "log-queue.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "caged-limits.h"
#include "clock.h"

#define TURN_SIZE 4096 /* what a share may write before it is the next one's turn */
#define STACK_SIZE (256 * 1024)

TAILQ_HEAD(share_list, log_share);

struct log_queue {
    void (*write)(const struct log_record *record);
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, idle; /* signalled to the writer, and by it */
    bool is_idle, closing;
    size_t n_records;
    uint64_t n_queued;          /* ever */
    struct share_list ready;    /* shares with records, in the order of their turns */
    struct share_list relieved; /* those whose owners are to be called */
    int held;                   /* why the writer waits; 0: it does not */
    int fd;
};

/* -- the writer -- */

static void signal_owner(const struct log_queue *queue)
{
    const uint64_t one = 1;

    (void)!write(queue->fd, &one, sizeof(one)); /* fails only if it is readable already */
}

static size_t record_cost(const struct log_record *record)
{
    return sizeof(*record) + record->size;
}

static void tell_relieved(struct log_queue *queue, struct log_share *share)
{
    share->over = false;
    if (share->is_relieved || share->left)
        return;
    share->is_relieved = true;
    TAILQ_INSERT_TAIL(&queue->relieved, share, relieved_entry);
    signal_owner(queue);
}

/* The first record of the share is written. */
static void finish_record(struct log_queue *queue, struct log_share *share)
{
    struct log_record *record = STAILQ_FIRST(&share->records);
    size_t cost = record_cost(record);

    STAILQ_REMOVE_HEAD(&share->records, entry);
    free(record);
    queue->n_records--;
    share->unsent -= cost;
    share->turn += cost;
    if (share->over && share->unsent <= LOG_UNSENT_PAUSE / 2)
        tell_relieved(queue, share);
    if (!STAILQ_EMPTY(&share->records))
        return;
    share->turn = 0;
    TAILQ_REMOVE(&queue->ready, share, ready_entry);
    if (share->left)
        share->destroy(share);
}

/* The share whose turn it is, or NULL. What a large record was over a turn is taken off the next
 * ones: who writes large records gets no more than the others. */
static struct log_share *next_share(struct log_queue *queue)
{
    struct log_share *share;

    while ((share = TAILQ_FIRST(&queue->ready)) && share->turn >= TURN_SIZE) {
        share->turn -= TURN_SIZE;
        TAILQ_REMOVE(&queue->ready, share, ready_entry);
        TAILQ_INSERT_TAIL(&queue->ready, share, ready_entry);
    }
    return share;
}

static void *run(void *user)
{
    struct log_queue *queue = user;
    struct log_share *share;

    (void)pthread_mutex_lock(&queue->mutex);
    for (;;) {
        while (!(share = next_share(queue)) && !queue->closing) {
            queue->is_idle = true;
            (void)pthread_cond_wait(&queue->work, &queue->mutex);
        }
        if (!share)
            break;
        struct log_record *record = STAILQ_FIRST(&share->records);
        (void)pthread_mutex_unlock(&queue->mutex);
        queue->write(record);
        (void)pthread_mutex_lock(&queue->mutex);
        finish_record(queue, share);
    }
    (void)pthread_cond_signal(&queue->idle);
    (void)pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* Signals are the event loop's. */
static int start_thread(struct log_queue *queue)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int r = -pthread_attr_init(&attributes);

    if (r < 0)
        return r;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (r == 0)
        r = -pthread_create(&queue->thread, &attributes, run, queue);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return r;
}

/* -- the queue -- */

static struct log_queue *queue_free(struct log_queue *queue)
{
    (void)pthread_cond_destroy(&queue->idle);
    (void)pthread_cond_destroy(&queue->work);
    (void)pthread_mutex_destroy(&queue->mutex);
    fd_close(queue->fd);
    free(queue);
    return NULL;
}

int log_queue_new(void (*write)(const struct log_record *record), struct log_queue **ret)
{
    struct log_queue *queue = malloc(sizeof(*queue));
    pthread_condattr_t monotonic;

    if (!queue)
        return -ENOMEM;
    *queue = (struct log_queue){.write = write, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    TAILQ_INIT(&queue->ready);
    TAILQ_INIT(&queue->relieved);
    /* On Linux none of these fails (pthread_mutex_init(3), pthread_cond_init(3)). */
    (void)pthread_mutex_init(&queue->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&queue->work, NULL);
    (void)pthread_cond_init(&queue->idle, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int r = queue->fd < 0 ? negative_errno() : start_thread(queue);
    if (r < 0) {
        queue_free(queue);
        return r;
    }
    *ret = queue;
    return 0;
}

size_t log_queue_close(struct log_queue *queue, uint64_t timeout_usec)
{
    uint64_t end = clock_usec(CLOCK_MONOTONIC) + timeout_usec;
    const struct timespec until = {.tv_sec = (time_t)(end / 1000000),
                                   .tv_nsec = (long)(end % 1000000 * 1000)};
    size_t left;

    (void)pthread_mutex_lock(&queue->mutex);
    queue->closing = true;
    (void)pthread_cond_signal(&queue->work);
    while (queue->n_records > 0 && pthread_cond_timedwait(&queue->idle, &queue->mutex, &until) == 0)
        ;
    left = queue->n_records;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (left > 0)
        return left;
    (void)pthread_join(queue->thread, NULL);
    queue_free(queue);
    return 0;
}

void log_queue_set_held(struct log_queue *queue, int error)
{
    (void)pthread_mutex_lock(&queue->mutex);
    bool changed = queue->held != error;
    queue->held = error;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (changed)
        signal_owner(queue);
}

int log_queue_held(struct log_queue *queue)
{
    (void)pthread_mutex_lock(&queue->mutex);
    int error = queue->held;
    (void)pthread_mutex_unlock(&queue->mutex);
    return error;
}

int log_queue_fd(const struct log_queue *queue)
{
    return queue->fd;
}

void log_queue_dispatch(struct log_queue *queue)
{
    struct log_share *share;
    uint64_t ignored;

    (void)!read(queue->fd, &ignored, sizeof(ignored));
    (void)pthread_mutex_lock(&queue->mutex);
    while ((share = TAILQ_FIRST(&queue->relieved))) {
        TAILQ_REMOVE(&queue->relieved, share, relieved_entry);
        share->is_relieved = false;
        (void)pthread_mutex_unlock(&queue->mutex);
        share->relieved(share); /* may log, and may leave any share */
        (void)pthread_mutex_lock(&queue->mutex);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
}

uint64_t log_queue_mark(struct log_queue *queue)
{
    (void)pthread_mutex_lock(&queue->mutex);
    uint64_t mark = queue->n_queued;
    (void)pthread_mutex_unlock(&queue->mutex);
    return mark;
}

/* The first record of each share is its oldest that is not written. */
bool log_queue_is_written(struct log_queue *queue, uint64_t mark)
{
    const struct log_share *share;
    bool written = true;

    (void)pthread_mutex_lock(&queue->mutex);
    TAILQ_FOREACH (share, &queue->ready, ready_entry)
        written = written && STAILQ_FIRST(&share->records)->number > mark;
    (void)pthread_mutex_unlock(&queue->mutex);
    return written;
}

/* -- shares -- */

void log_share_init(struct log_share *share, struct log_queue *queue,
                    void (*relieved)(struct log_share *share),
                    void (*destroy)(struct log_share *share))
{
    *share = (struct log_share){.queue = queue, .relieved = relieved, .destroy = destroy};
    STAILQ_INIT(&share->records);
}

void log_share_leave(struct log_share *share)
{
    struct log_queue *queue = share->queue;
    bool destroy;

    (void)pthread_mutex_lock(&queue->mutex);
    if (share->is_relieved)
        TAILQ_REMOVE(&queue->relieved, share, relieved_entry);
    share->is_relieved = false;
    share->left = true;
    destroy = share->unsent == 0;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (destroy)
        share->destroy(share);
}

bool log_share_push(struct log_share *share, struct log_record *record)
{
    struct log_queue *queue = share->queue;
    size_t cost = record_cost(record);
    bool wake;

    (void)pthread_mutex_lock(&queue->mutex);
    if (share->unsent + cost > LOG_UNSENT_MAX) {
        (void)pthread_mutex_unlock(&queue->mutex);
        return false;
    }
    record->share = share;
    record->number = ++queue->n_queued;
    if (STAILQ_EMPTY(&share->records))
        TAILQ_INSERT_TAIL(&queue->ready, share, ready_entry);
    STAILQ_INSERT_TAIL(&share->records, record, entry);
    queue->n_records++;
    share->unsent += cost;
    if (share->unsent >= LOG_UNSENT_PAUSE)
        share->over = true;
    wake = queue->is_idle;
    queue->is_idle = false;
    (void)pthread_mutex_unlock(&queue->mutex);
    if (wake)
        (void)pthread_cond_signal(&queue->work);
    return true;
}

static size_t unsent(struct log_share *share, bool *ret_over)
{
    (void)pthread_mutex_lock(&share->queue->mutex);
    size_t n = share->unsent;
    *ret_over = share->over;
    (void)pthread_mutex_unlock(&share->queue->mutex);
    return n;
}

bool log_share_is_over(struct log_share *share)
{
    bool over;

    (void)unsent(share, &over);
    return over;
}

bool log_share_has_room(struct log_share *share)
{
    bool over;

    return unsent(share, &over) <= LOG_UNSENT_MAX / 2;
}

bool log_share_is_empty(struct log_share *share)
{
    bool over;

    return unsent(share, &over) == 0;
}
