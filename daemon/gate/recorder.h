/* The control socket to cagedd: decisions go out and none is lost; what cagedd says comes in; its
 * end ends the gate, once what was decided or under way is recorded.
 *
 * A record that the socket does not take at once waits in a queue, and while one waits the gate
 * accepts no connection (recorder_is_blocked). Each open connection has at most two records, and
 * there is one update at a time, so the queue is bounded by the number of connections. */
#pragma once

#include "event-loop.h"
#include "refusal.h"

struct decision {
    enum refusal refusal; /* REFUSAL_NONE: allowed */
    const char *method;
    const char *host;
    uint16_t port;
    const char *address;
    const char *rule;
    unsigned status; /* the HTTP status that the client was sent; 0: none */
};

struct queued_record;

struct recorder_calls {
    void (*drained)(void *userdata); /* the queue became empty */
    void (*ended)(void *userdata);   /* cagedd says that it is over: nothing may begin any more */
    /* A message from cagedd. 0, or -errno where the gate must not go on: the loop is stopped. */
    int (*told)(void *userdata, const void *message, size_t size);
};

struct recorder {
    struct event_loop *loop;
    struct event_source source;
    struct queued_record *first, **last;
    bool ending; /* cagedd said so: the loop stops when the queue is empty */
    const struct recorder_calls *calls;
    void *userdata;
};

/* Watches the control socket, which stays the caller's; `calls` is borrowed. 0 or -errno. */
int recorder_init(struct recorder *recorder, struct event_loop *loop, int control_fd,
                  const struct recorder_calls *calls, void *userdata);
void recorder_deinit(struct recorder *recorder);

int recorder_send_ready(struct recorder *recorder);

/* Why the gate could not start, or go on: its last word, straight to the socket. */
void recorder_send_failed(int control_fd, const char *why);

/* An update is in force, and ended so many allowed connections. Goes behind the records that wait.
 * 0 or -errno, after which the loop is stopping. */
int recorder_put_updated(struct recorder *recorder, uint64_t n_ended);

/* Whether a record still waits to be taken by cagedd's socket. */
bool recorder_is_blocked(const struct recorder *recorder);

/* Sends or queues the record. If neither can be done, the gate stops: a decision that leaves no
 * trace must not take effect. Returns 0 or -errno, after which the loop is stopping. */
int recorder_put(struct recorder *recorder, const struct decision *decision);
