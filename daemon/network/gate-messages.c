/* What a gate says, checked to the last byte. */
#include "network/gate-messages.h"

#include "caged-limits.h"
#include "records.h"
#include "util.h"

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* The value as printable text, or NULL. */
static const char *record_text(const struct record *record)
{
    const char *text = record_string(record);
    return text && is_printable(text) ? text : NULL;
}

/* A record that follows in a group: where its text or its number goes. */
struct field {
    uint16_t type;
    const char **text;
    uint64_t *number;
    uint64_t max;
};

/* Reads each of these exactly once, in this order. */
static int read_fields(struct records_reader *reader, const struct field *fields, size_t n_fields)
{
    struct record record;

    for (size_t i = 0; i < n_fields; i++) {
        const struct field *field = &fields[i];
        if (records_next(reader, &record) != 1 || record.type != field->type)
            return -EBADMSG;
        if (field->text && !(*field->text = record_text(&record)))
            return -EBADMSG;
        if (field->number &&
            (record_u64(&record, field->number) < 0 || *field->number > field->max))
            return -EBADMSG;
    }
    return 0;
}

/* Only what stands for more than one request has no number. JSON holds no larger ones, and an event
 * that its readers cannot read would end them. */
static bool is_counted(uint64_t request, uint64_t count)
{
    return count >= 1 && request <= INT64_MAX && (request != 0) == (count == 1);
}

static int parse_decision(struct records_reader *reader, uint64_t verdict,
                          struct gate_decision *ret)
{
    struct gate_decision d = {};
    uint64_t port = 0, status = 0;
    const struct field fields[] = {
        {GATE_MESSAGE_REQUEST, NULL, &d.request, INT64_MAX},
        {GATE_MESSAGE_METHOD, &d.method, NULL, 0},
        {GATE_MESSAGE_HOST, &d.host, NULL, 0},
        {GATE_MESSAGE_PORT, NULL, &port, UINT16_MAX},
        {GATE_MESSAGE_ADDRESS, &d.address, NULL, 0},
        {GATE_MESSAGE_RULE, &d.rule, NULL, 0},
        {GATE_MESSAGE_REASON, &d.reason, NULL, 0},
        {GATE_MESSAGE_STATUS, NULL, &status, 999},
        {GATE_MESSAGE_COUNT, NULL, &d.count, UINT32_MAX},
    };

    if (verdict >= GATE_VERDICT_COUNT || read_fields(reader, fields, ARRAY_SIZE(fields)) < 0 ||
        !is_counted(d.request, d.count) || (verdict == GATE_HELD && d.count != 1))
        return -EBADMSG;
    d.verdict = (enum gate_verdict)verdict;
    d.port = (uint16_t)port;
    d.status = (unsigned)status;
    *ret = d;
    return 0;
}

static int parse_end(struct records_reader *reader, uint64_t request, struct gate_end *ret)
{
    struct gate_end e = {.request = request};
    uint64_t port = 0;
    const struct field fields[] = {
        {GATE_MESSAGE_METHOD, &e.method, NULL, 0},
        {GATE_MESSAGE_HOST, &e.host, NULL, 0},
        {GATE_MESSAGE_PORT, NULL, &port, UINT16_MAX},
        {GATE_MESSAGE_ADDRESS, &e.address, NULL, 0},
        {GATE_MESSAGE_RULE, &e.rule, NULL, 0},
        {GATE_MESSAGE_REASON, &e.reason, NULL, 0},
        {GATE_MESSAGE_BYTES_UP, NULL, &e.bytes_up, INT64_MAX},
        {GATE_MESSAGE_BYTES_DOWN, NULL, &e.bytes_down, INT64_MAX},
        {GATE_MESSAGE_DURATION_USEC, NULL, &e.duration_usec, INT64_MAX},
        {GATE_MESSAGE_COUNT, NULL, &e.count, UINT32_MAX},
    };

    if (read_fields(reader, fields, ARRAY_SIZE(fields)) < 0 || !is_counted(e.request, e.count))
        return -EBADMSG;
    e.port = (uint16_t)port;
    *ret = e;
    return 0;
}

/* One group, handed on if there are calls. */
static int take_group(struct records_reader *reader, const struct record *first,
                      const struct gate_group_calls *calls, void *user)
{
    struct gate_decision decision;
    struct gate_end end;
    uint64_t number;
    int r;

    if (record_u64(first, &number) < 0)
        return -EBADMSG;
    switch (first->type) {
    case GATE_MESSAGE_DECISION:
        r = parse_decision(reader, number, &decision);
        if (r == 0 && calls)
            calls->decided(user, &decision);
        return r;
    case GATE_MESSAGE_END:
        r = parse_end(reader, number, &end);
        if (r == 0 && calls)
            calls->ended(user, &end);
        return r;
    default:
        return -EBADMSG;
    }
}

static int take_groups(const void *data, size_t size, const struct gate_group_calls *calls,
                       void *user)
{
    struct records_reader reader = {.data = data, .size = size};
    struct record first;
    int r;

    while ((r = records_next(&reader, &first)) == 1)
        if (take_group(&reader, &first, calls, user) < 0)
            return -EBADMSG;
    return r;
}

void gate_message_for_each(const void *data, size_t size, const struct gate_group_calls *calls,
                           void *user)
{
    (void)take_groups(data, size, calls, user);
}

int gate_message_parse(const void *data, size_t size, struct gate_message *ret)
{
    struct records_reader reader = {.data = data, .size = size};
    struct gate_message message = {};
    struct record record;

    if (records_next(&reader, &record) != 1)
        return -EBADMSG;
    switch (record.type) {
    case GATE_MESSAGE_READY:
        message.kind = GATE_SAYS_READY;
        if (record.size != 0)
            return -EBADMSG;
        break;
    case GATE_MESSAGE_FAILED:
        message.kind = GATE_SAYS_FAILED;
        message.why = record_text(&record);
        if (!message.why)
            return -EBADMSG;
        break;
    case GATE_MESSAGE_UPDATED:
        message.kind = GATE_SAYS_UPDATED;
        if (record_u64(&record, &message.n_ended) < 0 || message.n_ended > GATE_CONNECTIONS_MAX)
            return -EBADMSG;
        break;
    default:
        message.kind = GATE_SAYS_GROUPS;
        if (take_groups(data, size, NULL, NULL) < 0)
            return -EBADMSG;
        *ret = message;
        return 0;
    }
    if (reader.offset != reader.size)
        return -EBADMSG;
    *ret = message;
    return 0;
}
