/* Who wants to know when something changes: a list of watches, each embedded in its owner. To
 * notify is only to wake: the watcher does its work from the event loop, so that no list changes
 * under the one who walks it. */
#pragma once

#include <stddef.h>
#include <sys/queue.h>

struct watch {
    LIST_ENTRY(watch) entry;
    void (*wake)(struct watch *watch); /* must not add or remove watches */
    struct watch_list *list;           /* the list it is on, NULL for none */
};

LIST_HEAD(watch_head, watch);
struct watch_list {
    struct watch_head head;
};

static inline void watch_add(struct watch_list *list, struct watch *watch)
{
    LIST_INSERT_HEAD(&list->head, watch, entry);
    watch->list = list;
}

/* Fine for a watch that is on no list. */
static inline void watch_remove(struct watch *watch)
{
    if (watch->list)
        LIST_REMOVE(watch, entry);
    watch->list = NULL;
}

static inline void watch_list_wake(struct watch_list *list)
{
    struct watch *watch;

    LIST_FOREACH (watch, &list->head, entry)
        watch->wake(watch);
}
