/* Type-length-value records; the format and the contract stand in the header. */
#include "records.h"

#include "util.h"

struct record_head {
    uint16_t type;
    uint16_t zero;
    uint32_t length;
};

void records_writer_deinit(struct records_writer *w)
{
    free(w->data);
    *w = (struct records_writer){};
}

static int writer_reserve(struct records_writer *w, size_t more)
{
    if (w->allocated - w->size >= more)
        return 0;

    size_t wanted = MAX_OF(w->allocated * 2, w->size + more);
    wanted = MAX_OF(wanted, (size_t)1024);
    uint8_t *data = realloc(w->data, wanted);
    if (!data)
        return -ENOMEM;

    w->data = data;
    w->allocated = wanted;
    return 0;
}

int records_put(struct records_writer *w, uint16_t type, const void *value, size_t size)
{
    struct record_head head = {.type = type, .length = (uint32_t)size};

    if (w->error)
        return w->error;
    if (size > UINT32_MAX)
        return w->error = -EINVAL;
    if (writer_reserve(w, sizeof(head) + size) < 0)
        return w->error = -ENOMEM;

    memcpy(w->data + w->size, &head, sizeof(head));
    if (size > 0)
        memcpy(w->data + w->size + sizeof(head), value, size);
    w->size += sizeof(head) + size;
    return 0;
}

int records_put_string(struct records_writer *w, uint16_t type, const char *value)
{
    return records_put(w, type, value, strlen(value) + 1);
}

int records_put_u64(struct records_writer *w, uint16_t type, uint64_t value)
{
    return records_put(w, type, &value, sizeof(value));
}

int records_append(struct records_writer *w, const struct records_writer *more)
{
    if (w->error || more->error)
        return w->error = w->error ? w->error : more->error;
    if (more->size == 0)
        return 0;
    if (writer_reserve(w, more->size) < 0)
        return w->error = -ENOMEM;
    memcpy(w->data + w->size, more->data, more->size);
    w->size += more->size;
    return 0;
}

int records_next(struct records_reader *r, struct record *ret)
{
    struct record_head head;
    size_t left = r->size - r->offset;

    if (left == 0)
        return 0;
    if (left < sizeof(head))
        return -EBADMSG;

    memcpy(&head, r->data + r->offset, sizeof(head));
    if (head.zero != 0 || head.length > left - sizeof(head))
        return -EBADMSG;

    *ret = (struct record){
        .type = head.type,
        .value = r->data + r->offset + sizeof(head),
        .size = head.length,
    };
    r->offset += sizeof(head) + head.length;
    return 1;
}

const char *record_string(const struct record *record)
{
    if (record->size == 0 ||
        memchr(record->value, 0, record->size) != (const uint8_t *)record->value + record->size - 1)
        return NULL;
    return record->value;
}

int record_u64(const struct record *record, uint64_t *ret)
{
    if (record->size != sizeof(*ret))
        return -EBADMSG;
    memcpy(ret, record->value, sizeof(*ret));
    return 0;
}
