/* epoll(7), level-triggered, and one heap of timers: all that the gate ever waits for.
 *
 * The kernel may know of more than a source waits for: input that is not wanted any more is taken
 * back only when some comes, since mostly it is wanted again before that.
 *
 * Handlers may remove and free any source or timer, their own too: an event that was already
 * fetched for a removed source is dropped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "util.h"

#define EVENT_BATCH 64

struct event_source {
    int fd; /* not owned by the loop; negative: none */
    bool added;
    uint32_t events; /* waited for */
    uint32_t told;   /* what the kernel knows of it */
    void (*ready)(struct event_source *source, uint32_t events);
};

struct timer {
    uint64_t deadline; /* as event_loop_now() counts */
    size_t position;   /* 1-based in the heap; 0: not set */
    void (*expired)(struct timer *timer);
};

struct event_loop {
    int epoll_fd;
    struct timer **heap;
    size_t n_timers;
    size_t timers_allocated;
    struct epoll_event batch[EVENT_BATCH];
    int batch_left, batch_next;
    bool stop;
    int exit_status;
};

/* `max_timers` timers can be set at once; room for them is taken here, so that setting one never
 * fails. 0 or -errno. */
int event_loop_init(struct event_loop *loop, size_t max_timers);
void event_loop_deinit(struct event_loop *loop);

/* Runs until event_loop_stop. 0 or -errno. */
int event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop, int exit_status);

/* What the source waits for. 0 still hears EPOLLERR and EPOLLHUP. 0 or -errno. */
int event_source_set(struct event_loop *loop, struct event_source *source, uint32_t events);

/* Out of the loop; before the descriptor is closed. Does nothing if it is not in. */
void event_source_remove(struct event_loop *loop, struct event_source *source);

/* Out of the loop, because the descriptor is closed next: that takes it from the kernel's list
 * (epoll(7)), as long as no other descriptor is one with it. */
void event_source_forget(struct event_loop *loop, struct event_source *source);

/* Milliseconds of CLOCK_MONOTONIC as of the kernel's last tick, at most some behind. */
uint64_t event_loop_now(void);

/* Sets or moves. */
void timer_set(struct event_loop *loop, struct timer *timer, uint64_t milliseconds);
void timer_clear(struct event_loop *loop, struct timer *timer);
