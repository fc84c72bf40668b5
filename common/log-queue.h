/* What waits to be written to the log. A thread writes it, so that whoever logs never waits,
 * however slow or dead the journal or the reader of standard error is.
 *
 * Every record belongs to a share: each agent has one, and the daemon one for the rest. The records
 * of a share are written in order; the shares take turns, so that a noisy one does not delay the
 * others. Nothing is dropped to make room. A share that is over LOG_UNSENT_PAUSE says so: its owner
 * stops taking in what makes records, and is called when half of that was written. A share takes
 * LOG_UNSENT_MAX and not more; what comes then is the owner's to count. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "util.h"

struct log_queue;
struct log_share;

/* A record, made with malloc(3). What log_queue does not need is for whoever writes. */
struct log_record {
    STAILQ_ENTRY(log_record) entry;
    struct log_share *share;
    uint64_t number;        /* of all that were ever queued */
    uint64_t time_usec;     /* when it was logged, CLOCK_REALTIME */
    uint64_t sequence;      /* of an agent's line */
    const char *stream;     /* of an agent's line: static; NULL: another entry */
    const char *message_id; /* static, or NULL */
    uint32_t size, message_size;
    uint8_t priority;
    bool partial;
    uint8_t n_fields;
    char data[]; /* "MESSAGE=" and message_size bytes and a NUL, then n_fields times "NAME=value"
                    and a NUL */
};

/* All members are the queue's; `relieved` is called in the thread of the owner, by
 * log_queue_dispatch(). */
struct log_share {
    struct log_queue *queue;
    void (*relieved)(struct log_share *share);
    void (*destroy)(struct log_share *share);
    STAILQ_HEAD(, log_record) records;
    TAILQ_ENTRY(log_share) ready_entry, relieved_entry;
    size_t unsent; /* bytes of all records, the one that is being written included */
    size_t turn;   /* bytes written in this turn, and over the turns before */
    bool over, is_relieved, left;
};

/* Starts the thread, which calls `write` with one record after the other; it may take as long as it
 * likes. 0 or -errno. */
int log_queue_new(void (*write)(const struct log_record *record), struct log_queue **ret);

/* Waits until everything is written, at most for this time. Returns how many records are left: if
 * there are none the queue is freed, else it stays as it is, with its thread, until the process
 * ends. Either way the shares may not be used any more. */
size_t log_queue_close(struct log_queue *queue, uint64_t timeout_usec);

/* For `write`, from within: it waits, for this reason (a positive errno), or goes on (0). The
 * owner's thread can ask. */
void log_queue_set_held(struct log_queue *queue, int error);
int log_queue_held(struct log_queue *queue);

/* Readable (eventfd(2)) when log_queue_dispatch() has something to do, or log_queue_held() has
 * changed; the queue's. */
int log_queue_fd(const struct log_queue *queue);
void log_queue_dispatch(struct log_queue *queue);

/* Stands for all records queued so far; and whether these are written. */
uint64_t log_queue_mark(struct log_queue *queue);
bool log_queue_is_written(struct log_queue *queue, uint64_t mark);

/* The share is part of something that `destroy` frees once it was left and all is written: in the
 * caller's thread or in the writer's. A share that is never left is its owner's. */
void log_share_init(struct log_share *share, struct log_queue *queue,
                    void (*relieved)(struct log_share *share),
                    void (*destroy)(struct log_share *share));
void log_share_leave(struct log_share *share);

/* Takes the record, or returns false if the share is full: then it stays the caller's. */
bool log_share_push(struct log_share *share, struct log_record *record);

bool log_share_is_over(struct log_share *share);  /* and will be relieved */
bool log_share_has_room(struct log_share *share); /* for half of what it can take */
bool log_share_is_empty(struct log_share *share); /* everything is written */
