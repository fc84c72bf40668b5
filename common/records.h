/* Type-length-value records: how the four programs hand each other a specification (in a sealed
 * memfd) or a message (in one SOCK_SEQPACKET datagram). Pure: no system call, the reader never
 * allocates and never copies.
 *
 * A record is u16 type, u16 zero, u32 length, then the value, in the machine's byte order: both
 * ends always run on the same machine. A string's value includes its one terminating NUL, so that
 * the reader can use it in place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct records_writer {
    uint8_t *data; /* owned by the writer until taken with TAKE_PTR */
    size_t size;
    size_t allocated;
    int error; /* the first failure; later puts do nothing, so that only the end needs a check */
};

struct records_reader {
    const uint8_t *data; /* borrowed; must outlive every record read from it */
    size_t size;
    size_t offset;
};

struct record {
    uint16_t type;
    const void *value;
    size_t size;
};

void records_writer_deinit(struct records_writer *w);

/* Each returns 0 or the writer's first error: -ENOMEM, or -EINVAL for a value over 4 GiB. */
int records_put(struct records_writer *w, uint16_t type, const void *value, size_t size);
int records_put_string(struct records_writer *w, uint16_t type, const char *value);
int records_put_u64(struct records_writer *w, uint16_t type, uint64_t value);

/* All the records of another writer, which stays as it is. Likewise. */
int records_append(struct records_writer *w, const struct records_writer *more);

/* Returns 1 with the next record, 0 at the end, -EBADMSG where the data is not whole records. */
int records_next(struct records_reader *r, struct record *ret);

/* The value as a string, or NULL unless it is one: a NUL at its end and nowhere else. */
const char *record_string(const struct record *record);

/* 0, or -EBADMSG unless the value has exactly eight bytes. */
int record_u64(const struct record *record, uint64_t *ret);
