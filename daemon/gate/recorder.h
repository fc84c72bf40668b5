/* The control socket to cagedd: decisions and ends go out and none is lost; what cagedd says comes
 * in; its end ends the gate, once what was decided or under way is recorded.
 *
 * Records that are put in one round of the event loop are gathered, and go out together at its end,
 * in one message where they fit; who waits for them is told then (`sent`). recorder_flush() sends
 * them earlier.
 *
 * Of a flood only sums go out, each second (record-fold.h): a request that is counted in one goes
 * on at once.
 *
 * A message that the socket does not take at once waits in a queue, and while one waits the gate
 * accepts no connection and lets no request through (recorder_is_blocked). Each open connection has
 * a few records at most, and there is one update at a time, so the queue is bounded by the number
 * of connections; what is over GATE_RECORDS_UNSENT_MAX is added up all the same. */
#pragma once

#include "event-loop.h"
#include "network-record.h"
#include "record-fold.h"

struct queued_record;

struct recorder_calls {
    void (*sent)(void *userdata);    /* all that was put has gone out */
    void (*blocked)(void *userdata); /* or waits until it can */
    void (*ended)(void *userdata);   /* cagedd says that it is over: nothing may begin any more */
    /* A message from cagedd. 0, or -errno where the gate must not go on: the loop is stopped. */
    int (*told)(void *userdata, const void *message, size_t size);
};

struct recorder {
    struct event_loop *loop;
    struct event_source source;
    struct timer round;           /* set while something is gathered: the end of this round */
    struct records_writer batch;  /* gathered, at most HELPER_MESSAGE_MAX bytes */
    struct records_writer record; /* the one that is being put */
    struct record_fold fold;
    struct timer second; /* set while the fold has something: when that is sent */
    struct queued_record *first, **last;
    size_t queued; /* bytes */
    bool ending;   /* cagedd said so: the loop stops when the queue is empty */
    const struct recorder_calls *calls;
    void *userdata;
};

/* Watches the control socket, which stays the caller's; `calls` is borrowed. 0 or -errno. */
int recorder_init(struct recorder *recorder, struct event_loop *loop, int control_fd,
                  const struct recorder_calls *calls, void *userdata);

/* Sends what is gathered, if the socket takes it. */
void recorder_deinit(struct recorder *recorder);

int recorder_send_ready(struct recorder *recorder);

/* Why the gate could not start, or go on: its last word, straight to the socket. */
void recorder_send_failed(int control_fd, const char *why);

/* An update is in force, and ended so many allowed connections. Goes behind the records that wait.
 * 0 or -errno, after which the loop is stopping. */
int recorder_put_updated(struct recorder *recorder, uint64_t n_ended);

/* Whether a message still waits to be taken by cagedd's socket. */
bool recorder_is_blocked(const struct recorder *recorder);

/* Whether something that was put has not gone out: `sent` will tell when it has. */
bool recorder_is_waiting(const struct recorder *recorder);

/* Takes the record in, to be sent at the end of this round at the latest, or behind what waits
 * already; or adds it up. If that cannot be done, the gate stops: a decision that leaves no trace
 * must not take effect. Returns 0 or -errno, after which the loop is stopping. */
int recorder_put(struct recorder *recorder, const struct network_record *record);

/* Sends what is gathered now, or queues it; calls nobody. 0 or -errno, after which the loop is
 * stopping. */
int recorder_flush(struct recorder *recorder);
