/* Turns of users. The first of each user's that wait stands in one list, the others behind it; who
 * follows a first one that had its turn comes at the end of that list. */
#include "server/turns.h"

#include <stdint.h>

#include "clock.h"
#include "util.h"

#define SLICE_USEC 1000 /* then other event sources come first: agents, gates, new clients */

void turns_init(struct turns *turns, sd_event *event, void (*run)(struct turn *turn))
{
    *turns = (struct turns){.event = event, .run = run};
    TAILQ_INIT(&turns->firsts);
}

void turns_deinit(struct turns *turns)
{
    turns->source = sd_event_source_disable_unref(turns->source);
}

static struct turn *find_first(const struct turns *turns, uid_t user)
{
    struct turn *first;

    TAILQ_FOREACH (first, &turns->firsts, entry)
        if (first->user == user)
            return first;
    return NULL;
}

static void leave(struct turns *turns, struct turn *turn)
{
    struct turn *first = find_first(turns, turn->user);
    struct turn *next = TAILQ_FIRST(&first->behind);

    turn->waiting = false;
    if (turn != first) {
        TAILQ_REMOVE(&first->behind, turn, entry);
        return;
    }
    TAILQ_REMOVE(&turns->firsts, turn, entry);
    if (!next)
        return;
    TAILQ_REMOVE(&turn->behind, next, entry);
    TAILQ_INIT(&next->behind);
    TAILQ_CONCAT(&next->behind, &turn->behind, entry);
    TAILQ_INSERT_TAIL(&turns->firsts, next, entry);
}

static int on_turn(sd_event_source *source, void *user);

/* A new source each time: sd-event serves what has waited longest, and takes a deferred source to
 * have waited since it was made, so that one that is used again would come before all others. */
static int schedule(struct turns *turns)
{
    sd_event_source *source;
    int r = sd_event_add_defer(turns->event, &source, on_turn, turns);

    if (r < 0)
        return r;
    sd_event_source_disable_unref(turns->source);
    turns->source = source;
    return 0;
}

static int on_turn(sd_event_source *source, void *user)
{
    struct turns *turns = user;
    const uint64_t end = clock_usec(CLOCK_MONOTONIC) + SLICE_USEC;
    struct turn *turn;

    while ((turn = TAILQ_FIRST(&turns->firsts))) {
        leave(turns, turn);
        turns->run(turn);
        if (clock_usec(CLOCK_MONOTONIC) >= end)
            break;
    }
    if (TAILQ_EMPTY(&turns->firsts))
        turns->source = sd_event_source_disable_unref(turns->source);
    else if (schedule(turns) < 0) /* no memory: then this one again */
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

int turns_ask(struct turns *turns, struct turn *turn, uid_t user)
{
    if (turn->waiting)
        return 0;
    int r = turns->source ? 0 : schedule(turns);
    if (r < 0)
        return r;
    struct turn *first = find_first(turns, user);
    *turn = (struct turn){.user = user, .waiting = true};
    TAILQ_INIT(&turn->behind);
    if (first)
        TAILQ_INSERT_TAIL(&first->behind, turn, entry);
    else
        TAILQ_INSERT_TAIL(&turns->firsts, turn, entry);
    return 0;
}

void turns_forget(struct turns *turns, struct turn *turn)
{
    if (turn->waiting)
        leave(turns, turn);
}
