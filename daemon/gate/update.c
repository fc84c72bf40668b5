/* See update.h. cagedd says the size first, so that memory is taken once and what is not wanted is
 * never kept. */
#include "update.h"

#include "caged-limits.h"
#include "gate-proto.h"
#include "records.h"

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

void update_deinit(struct update *update)
{
    free(update->data);
    *update = (struct update){};
}

static int begin(struct update *update, const struct record *record, const char **ret_why)
{
    uint64_t size;

    if (update->data)
        return bad(ret_why, "an update began inside another");
    if (record_u64(record, &size) < 0 || size == 0 || size > SPEC_SIZE_MAX)
        return bad(ret_why, "the size of an update is not a number from 1 to the largest allowed");
    update->data = malloc(size);
    if (!update->data)
        return -ENOMEM;
    update->size = size;
    update->received = 0;
    return 0;
}

/* 1 when it was the last part. */
static int add(struct update *update, const struct record *record, const char **ret_why)
{
    if (!update->data)
        return bad(ret_why, "a part of an update came, and none is under way");
    if (record->size == 0 || record->size > update->size - update->received)
        return bad(ret_why, "a part of an update is empty or too long");
    memcpy(update->data + update->received, record->value, record->size);
    update->received += record->size;
    return update->received == update->size;
}

static int take_record(struct update *update, const void *message, size_t size,
                       const char **ret_why)
{
    struct records_reader reader = {.data = message, .size = size};
    struct record record;

    if (records_next(&reader, &record) != 1 || reader.offset != reader.size)
        return bad(ret_why, "a message of cagedd is not one record");
    switch (record.type) {
    case GATE_ORDER_UPDATE:
        return begin(update, &record, ret_why);
    case GATE_ORDER_PART:
        return add(update, &record, ret_why);
    default:
        return bad(ret_why, "a message of cagedd is of an unknown type");
    }
}

int update_take(struct update *update, const void *message, size_t size, struct gate_config **ret,
                const char **ret_why)
{
    int r = take_record(update, message, size, ret_why);

    if (r == 0)
        return 0;
    if (r > 0)
        r = gate_config_parse(update->data, update->size, ret, ret_why);
    update_deinit(update);
    return r < 0 ? r : 1;
}

static bool is_same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && streq(a->host.name, b->host.name);
}

const char *update_fault(const struct gate_config *now, const struct gate_config *next)
{
    if (!streq(now->agent_id, next->agent_id))
        return "the update is for another agent";
    if (now->uid != next->uid)
        return "the update has another uid";
    if (!is_same_endpoint(&now->parent, &next->parent) ||
        !streq_null(now->parent_authorization, next->parent_authorization))
        return "the update has another parent proxy";
    if (now->ask_seconds != next->ask_seconds)
        return "the update has another time to ask";
    if (now->n_forwards != next->n_forwards)
        return "the update has other forwards";
    for (size_t i = 0; i < now->n_forwards; i++)
        if (!is_same_endpoint(&now->forwards[i], &next->forwards[i]))
            return "the update has other forwards";
    if (now->transparent != next->transparent)
        return "the update is transparent and the gate is not, or the other way round";
    return NULL;
}
