/* Whose turn it is: those that wait to go on, one of each user after the other. With a turn for
 * each of them alike, users with many connections would keep one with a single connection waiting
 * as long as all of theirs take. */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

TAILQ_HEAD(turn_list, turn);

/* Embedded in who waits. */
struct turn {
    TAILQ_ENTRY(turn) entry;
    uid_t user;
    bool waiting;
    struct turn_list behind; /* of the first of a user's: the others, in their order */
};

struct turns {
    sd_event *event;
    sd_event_source *source; /* while somebody waits */
    struct turn_list firsts; /* one of each user that waits */
    void (*run)(struct turn *turn);
};

/* `run` is called from the event loop with one that waits no more; it may have it wait again, and
 * may free it or any other (turns_forget() first). */
void turns_init(struct turns *turns, sd_event *event, void (*run)(struct turn *turn));
void turns_deinit(struct turns *turns);

/* Has `turn` wait as one of this user's; once, however often it is asked for. 0 or -errno. */
int turns_ask(struct turns *turns, struct turn *turn, uid_t user);

/* It waits no more; fine for one that does not. */
void turns_forget(struct turns *turns, struct turn *turn);
