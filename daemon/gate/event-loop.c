/* See event-loop.h. The heap is the usual binary one in an array; each timer knows its place, so
 * that it can be moved or taken out. */
#include "event-loop.h"

#include "clock.h"

/* The tick of the kernel, of a few milliseconds, is fine enough for what takes seconds, and read in
 * a fraction of the time. */
uint64_t event_loop_now(void)
{
    return clock_usec(CLOCK_MONOTONIC_COARSE) / 1000;
}

int event_loop_init(struct event_loop *loop, size_t max_timers)
{
    *loop = (struct event_loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll_fd < 0)
        return negative_errno();
    loop->heap = calloc(max_timers, sizeof(struct timer *));
    if (!loop->heap)
        return -ENOMEM;
    loop->timers_allocated = max_timers;
    return 0;
}

void event_loop_deinit(struct event_loop *loop)
{
    loop->epoll_fd = fd_close(loop->epoll_fd);
    free(loop->heap);
    loop->heap = NULL;
}

void event_loop_stop(struct event_loop *loop, int exit_status)
{
    loop->stop = true;
    loop->exit_status = exit_status;
}

/* -- sources -- */

static int tell(struct event_loop *loop, struct event_source *source)
{
    struct epoll_event event = {.events = source->events, .data.ptr = source};

    if (epoll_ctl(loop->epoll_fd, source->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd,
                  &event) < 0)
        return negative_errno();
    source->added = true;
    source->told = source->events;
    return 0;
}

int event_source_set(struct event_loop *loop, struct event_source *source, uint32_t events)
{
    source->events = events;
    if (source->added && (source->told == events || source->told == (events | EPOLLIN)))
        return 0;
    return tell(loop, source);
}

void event_source_forget(struct event_loop *loop, struct event_source *source)
{
    if (!source->added)
        return;
    source->added = false;
    for (int i = loop->batch_next; i < loop->batch_left; i++)
        if (loop->batch[i].data.ptr == source)
            loop->batch[i].data.ptr = NULL;
}

void event_source_remove(struct event_loop *loop, struct event_source *source)
{
    if (source->added)
        (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    event_source_forget(loop, source);
}

/* Calls the handler, or takes back what is not wanted. */
static void dispatch(struct event_loop *loop, struct event_source *source, uint32_t events)
{
    uint32_t wanted = events & (source->events | EPOLLERR | EPOLLHUP);

    if (wanted)
        source->ready(source, wanted);
    else if (tell(loop, source) < 0)
        event_loop_stop(loop, EXIT_FAILURE); /* it would spin */
}

/* -- timers -- */

static void heap_place(struct event_loop *loop, size_t position, struct timer *timer)
{
    loop->heap[position - 1] = timer;
    timer->position = position;
}

/* Moves the timer up or down from `position` to where its deadline belongs. */
static void heap_sift(struct event_loop *loop, size_t position, struct timer *timer)
{
    while (position > 1 && timer->deadline < loop->heap[position / 2 - 1]->deadline) {
        heap_place(loop, position, loop->heap[position / 2 - 1]);
        position /= 2;
    }
    for (;;) {
        size_t child = position * 2;
        if (child > loop->n_timers)
            break;
        if (child < loop->n_timers && loop->heap[child]->deadline < loop->heap[child - 1]->deadline)
            child++;
        if (loop->heap[child - 1]->deadline >= timer->deadline)
            break;
        heap_place(loop, position, loop->heap[child - 1]);
        position = child;
    }
    heap_place(loop, position, timer);
}

void timer_set(struct event_loop *loop, struct timer *timer, uint64_t milliseconds)
{
    timer->deadline = event_loop_now() + milliseconds;
    if (timer->position == 0) {
        if (loop->n_timers == loop->timers_allocated)
            abort(); /* more timers than event_loop_init was told of: a bug */
        timer->position = ++loop->n_timers;
        loop->heap[timer->position - 1] = timer;
    }
    heap_sift(loop, timer->position, timer);
}

void timer_clear(struct event_loop *loop, struct timer *timer)
{
    size_t position = timer->position;

    if (position == 0)
        return;
    timer->position = 0;
    struct timer *last = loop->heap[--loop->n_timers];
    if (last != timer)
        heap_sift(loop, position, last);
}

static int next_timeout(const struct event_loop *loop)
{
    if (loop->n_timers == 0)
        return -1;
    uint64_t now = event_loop_now();
    uint64_t deadline = loop->heap[0]->deadline;
    return deadline <= now ? 0 : (int)MIN_OF(deadline - now, (uint64_t)INT32_MAX);
}

static void run_timers(struct event_loop *loop)
{
    uint64_t now = event_loop_now();

    while (!loop->stop && loop->n_timers > 0 && loop->heap[0]->deadline <= now) {
        struct timer *timer = loop->heap[0];
        timer_clear(loop, timer);
        timer->expired(timer);
    }
}

int event_loop_run(struct event_loop *loop)
{
    while (!loop->stop) {
        int n = epoll_wait(loop->epoll_fd, loop->batch, EVENT_BATCH, next_timeout(loop));
        if (n < 0 && errno != EINTR)
            return negative_errno();
        loop->batch_left = MAX_OF(n, 0);
        for (loop->batch_next = 0; loop->batch_next < loop->batch_left && !loop->stop;) {
            const struct epoll_event *event = &loop->batch[loop->batch_next++];
            struct event_source *source = event->data.ptr;
            if (source)
                dispatch(loop, source, event->events);
        }
        loop->batch_left = loop->batch_next = 0;
        run_timers(loop);
    }
    return 0;
}
