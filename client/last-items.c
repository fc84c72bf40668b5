/* See last-items.h. */
#include "last-items.h"

#include "util.h"

#define FIRST_COUNT 64

static char *place(const struct last_items *last, size_t i)
{
    return last->items + i * last->item_size;
}

static int grow(struct last_items *last)
{
    size_t n = MAX_OF(last->allocated * 2, (size_t)FIRST_COUNT);
    char *more = reallocarray(last->items, n, last->item_size);

    if (!more)
        return -ENOMEM;
    last->items = more;
    last->allocated = n;
    return 0;
}

int last_items_keep(struct last_items *last, void *item)
{
    char *to;

    if (last->count < last->max) {
        if (last->count == last->allocated && grow(last) < 0)
            return -ENOMEM;
        to = place(last, last->count++);
    } else if (last->count > 0) {
        to = place(last, last->first);
        last->deinit(to);
        last->first = (last->first + 1) % last->count;
    } else { /* of none at all */
        last->deinit(item);
        memset(item, 0, last->item_size);
        return 0;
    }
    memcpy(to, item, last->item_size);
    memset(item, 0, last->item_size);
    return 0;
}

void *last_items_get(const struct last_items *last, size_t i)
{
    return place(last, (last->first + i) % last->count);
}

void last_items_deinit(struct last_items *last)
{
    for (size_t i = 0; i < last->count; i++)
        last->deinit(place(last, i));
    free(last->items);
    last->items = NULL;
    last->first = last->count = last->allocated = 0;
}
