/* A bounded ring of entries (output lines, events) with sequence numbers. Readers keep a cursor, so
 * that a slow reader costs no memory and learns how much it missed. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct ring_entry {
    uint64_t sequence; /* counts from 1 */
    uint64_t time_usec;
    uint32_t tag; /* the user's: stream, owner, flags */
    size_t size;
    uint8_t data[];
};

struct ring;

/* What an entry takes beside its head and data, on average. */
#define RING_ENTRY_OVERHEAD 24

/* `max_bytes` bounds the memory of the entries. NULL: no memory. */
struct ring *ring_new(size_t max_bytes);
struct ring *ring_free(struct ring *ring);
DEFINE_CLEANUP(struct ring, ring_free);

/* Changes the bound; what is beyond it now is dropped, but none at or after the hold. */
void ring_set_bound(struct ring *ring, size_t max_bytes);

/* Adds an entry and drops the oldest ones beyond the bound, but none at or after the hold.
 * 0 or -ENOMEM (the entry is not added, its sequence number is used up: readers see the gap). */
int ring_push(struct ring *ring, uint64_t time_usec, uint32_t tag, const void *data, size_t size);

/* Entries from this sequence on are kept whatever the bound says; UINT64_MAX: none (the start). The
 * one who holds must stop pushing while ring_is_full(); to move the hold on makes room. */
void ring_hold(struct ring *ring, uint64_t sequence);
bool ring_is_full(const struct ring *ring);

uint64_t ring_first(const struct ring *ring); /* sequence of the oldest entry that is kept */
uint64_t ring_end(const struct ring *ring);   /* sequence that the next entry will get */

/* The first entry at or after `cursor`, NULL if there is none yet. Borrowed until the next push. */
const struct ring_entry *ring_get(const struct ring *ring, uint64_t cursor);
