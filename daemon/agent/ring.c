/* A bounded ring of entries: a queue of pointers in a power-of-two array, oldest at `head`. */
#include "agent/ring.h"

struct ring {
    struct ring_entry **slots;
    size_t n_slots; /* a power of two, or 0 */
    size_t head;
    size_t count;
    size_t bytes;
    size_t max_bytes;
    uint64_t next_sequence;
    uint64_t hold;
};

struct ring *ring_new(size_t max_bytes)
{
    struct ring *ring = malloc(sizeof(*ring));

    if (ring)
        *ring = (struct ring){.max_bytes = max_bytes, .next_sequence = 1, .hold = UINT64_MAX};
    return ring;
}

static struct ring_entry **slot_at(const struct ring *ring, size_t i)
{
    return &ring->slots[(ring->head + i) & (ring->n_slots - 1)];
}

/* With what malloc(3) adds, and its slot. */
static size_t entry_cost(const struct ring_entry *entry)
{
    return sizeof(*entry) + entry->size + RING_ENTRY_OVERHEAD;
}

static void drop_oldest(struct ring *ring)
{
    struct ring_entry *oldest = *slot_at(ring, 0);

    ring->bytes -= entry_cost(oldest);
    ring->head = (ring->head + 1) & (ring->n_slots - 1);
    ring->count--;
    free(oldest);
}

struct ring *ring_free(struct ring *ring)
{
    if (!ring)
        return NULL;
    while (ring->count > 0)
        drop_oldest(ring);
    free(ring->slots);
    free(ring);
    return NULL;
}

static int reserve_slot(struct ring *ring)
{
    if (ring->count < ring->n_slots)
        return 0;

    size_t n = MAX_OF(ring->n_slots * 2, (size_t)16);
    struct ring_entry **slots = malloc(n * sizeof(struct ring_entry *));
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < ring->count; i++)
        slots[i] = *slot_at(ring, i);
    free(ring->slots);
    ring->slots = slots;
    ring->n_slots = n;
    ring->head = 0;
    return 0;
}

static void drop_beyond_bound(struct ring *ring)
{
    while (ring->bytes > ring->max_bytes && ring->count > 1 && ring_first(ring) < ring->hold)
        drop_oldest(ring);
}

void ring_set_bound(struct ring *ring, size_t max_bytes)
{
    ring->max_bytes = max_bytes;
    drop_beyond_bound(ring);
}

int ring_push(struct ring *ring, uint64_t time_usec, uint32_t tag, const void *data, size_t size)
{
    uint64_t sequence = ring->next_sequence++;

    if (reserve_slot(ring) < 0)
        return -ENOMEM;
    struct ring_entry *entry = malloc(sizeof(*entry) + size);
    if (!entry)
        return -ENOMEM;

    *entry =
        (struct ring_entry){.sequence = sequence, .time_usec = time_usec, .tag = tag, .size = size};
    if (size > 0)
        memcpy(entry->data, data, size);
    ring->count++;
    *slot_at(ring, ring->count - 1) = entry;
    ring->bytes += entry_cost(entry);
    drop_beyond_bound(ring);
    return 0;
}

void ring_hold(struct ring *ring, uint64_t sequence)
{
    ring->hold = sequence;
    while (ring_is_full(ring) && ring->count > 0 && ring_first(ring) < sequence)
        drop_oldest(ring);
}

bool ring_is_full(const struct ring *ring)
{
    return ring->bytes >= ring->max_bytes;
}

uint64_t ring_first(const struct ring *ring)
{
    return ring->count > 0 ? (*slot_at(ring, 0))->sequence : ring->next_sequence;
}

uint64_t ring_end(const struct ring *ring)
{
    return ring->next_sequence;
}

/* Sequences grow along the queue but may have gaps (a push without memory): binary search. */
const struct ring_entry *ring_get(const struct ring *ring, uint64_t cursor)
{
    size_t low = 0, high = ring->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((*slot_at(ring, middle))->sequence < cursor)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ring->count ? *slot_at(ring, low) : NULL;
}
