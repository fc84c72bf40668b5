/* Log entries of the daemon: from a call to a record in the queue.
 *
 * What finds no room in its share is counted, and so is all that follows until half of the share is
 * written: then one entry tells the number, and stands where the lost ones would. */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "caged-limits.h"
#include "clock.h"
#include "log-record.h"

#define CLOSED_MAX 256

static struct log_queue *queue; /* NULL: not opened, or closed */
static bool to_journal;
static struct log_agent daemons_own; /* of entries that are about no agent */

/* -- making records -- */

static char *put(char *p, const void *data, size_t size)
{
    if (size > 0)
        memcpy(p, data, size);
    return p + size;
}

static size_t field_size(const struct log_field *field)
{
    return field->value ? strlen(field->name) + 1 + strlen(field->value) + 1 : 0;
}

static struct log_record *record_new(const void *message, size_t message_size,
                                     const struct log_field *fields, size_t n_fields)
{
    size_t size = sizeof("MESSAGE=") - 1 + message_size + 1;
    struct log_record *record;

    n_fields = MIN_OF(n_fields, (size_t)LOG_FIELDS_MAX);
    for (size_t i = 0; i < n_fields; i++)
        size += field_size(&fields[i]);
    record = size <= LOG_UNSENT_MAX ? malloc(sizeof(*record) + size) : NULL;
    if (!record)
        return NULL;
    *record = (struct log_record){.size = (uint32_t)size, .message_size = (uint32_t)message_size};
    char *p = put(record->data, "MESSAGE=", sizeof("MESSAGE=") - 1);
    p = put(put(p, message, message_size), "", 1);
    for (size_t i = 0; i < n_fields; i++) {
        if (!fields[i].value)
            continue;
        p = put(put(p, fields[i].name, strlen(fields[i].name)), "=", 1);
        p = put(p, fields[i].value, strlen(fields[i].value) + 1);
        record->n_fields++;
    }
    return record;
}

/* -- queueing them -- */

static bool push(struct log_agent *agent, struct log_record *record)
{
    if (record && log_share_push(&agent->share, record))
        return true;
    free(record);
    agent->lost++;
    return false;
}

/* Tells how much was lost, when that can be written. */
static void tell_lost(struct log_agent *agent)
{
    uint64_t lost = agent->lost;
    char text[128], number[24];
    const struct log_field fields[] = {{"CAGED_LOST", number}};

    if (lost == 0 || !log_share_has_room(&agent->share))
        return;
    (void)snprintf(number, sizeof(number), "%ju", (uintmax_t)lost);
    (void)snprintf(text, sizeof(text), "%s entries are lost here: the log took none for too long",
                   number);
    struct log_record *record = record_new(text, strlen(text), fields, ARRAY_SIZE(fields));
    if (record) {
        record->time_usec = clock_usec(CLOCK_REALTIME);
        record->priority = LOG_ERR;
        record->message_id = LOG_ID_ENTRIES_LOST;
    }
    agent->lost = 0;
    if (!push(agent, record))
        agent->lost = lost;
}

/* Takes the record over; NULL is one for which there was no memory. */
static void submit(struct log_agent *agent, struct log_record *record)
{
    if (!queue) {
        if (record) {
            record->share = &agent->share;
            log_text_write(record);
        }
        free(record);
        return;
    }
    tell_lost(agent);
    if (agent->lost > 0) {
        free(record);
        record = NULL;
    }
    (void)push(agent, record);
}

/* -- the log as a whole -- */

static void on_relieved(struct log_share *share)
{
    struct log_agent *agent = CONTAINER_OF(share, struct log_agent, share);

    tell_lost(agent);
    if (agent->relieved)
        agent->relieved(agent->user);
}

static void keep(struct log_share *share)
{
}

int log_open(void)
{
    to_journal = log_journal_is_due();
    int r = log_queue_new(to_journal ? log_journal_write : log_text_write, &queue);

    if (r >= 0)
        log_share_init(&daemons_own.share, queue, on_relieved, keep);
    return r;
}

/* stderr may well be what nobody reads. */
static void tell_unwritten(size_t n)
{
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    char text[CLOSED_MAX];
    int size = snprintf(text, sizeof(text),
                        LOG_DAEMON_NAME ": %zu log entries could not be written in %d seconds\n", n,
                        LOG_FLUSH_TIMEOUT);

    if (poll(&fd, 1, 0) == 1 && fd.revents == POLLOUT)
        (void)!write(STDERR_FILENO, text, (size_t)size);
}

void log_close(void)
{
    if (!queue)
        return;
    tell_lost(&daemons_own);
    size_t left = log_queue_close(queue, (uint64_t)LOG_FLUSH_TIMEOUT * 1000000);
    queue = NULL;
    if (left + daemons_own.lost > 0)
        tell_unwritten(left + daemons_own.lost);
}

int log_fd(void)
{
    return log_queue_fd(queue);
}

int log_held(void)
{
    return queue ? log_queue_held(queue) : 0;
}

/* It is read when there is room again, with the time at which there was none. */
static void tell_held(void)
{
    static uint64_t told; /* stands for the entry that said so */
    int error = log_held();

    if (error == 0 || !log_mark_is_written(told))
        return;
    log_error("the log cannot be written: %s; agents with much output wait until it can",
              strerror(error));
    told = log_mark();
}

void log_dispatch(void)
{
    log_queue_dispatch(queue);
    tell_held();
}

bool log_has_journal(void)
{
    return queue && to_journal;
}

uint64_t log_mark(void)
{
    return queue ? log_queue_mark(queue) : 0;
}

bool log_mark_is_written(uint64_t mark)
{
    return !queue || log_queue_is_written(queue, mark);
}

/* -- agents -- */

static void destroy(struct log_share *share)
{
    free(CONTAINER_OF(share, struct log_agent, share));
}

struct log_agent *log_agent_new(const struct log_agent_setup *setup)
{
    char owner[24];
    const struct log_field fields[] = {
        {"CAGED_AGENT", setup->agent_id},
        {"CAGED_OWNER_UID", owner},
        {"CAGED_INVOCATION_ID", setup->invocation_id},
        {"OBJECT_SYSTEMD_UNIT", setup->unit},
    };
    size_t size = 0;

    (void)snprintf(owner, sizeof(owner), "%ju", (uintmax_t)setup->owner_uid);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        size += field_size(&fields[i]);
    struct log_agent *agent = malloc(sizeof(*agent) + size);
    if (!agent)
        return NULL;
    *agent = (struct log_agent){
        .relieved = setup->relieved, .user = setup->user, .owner_uid = setup->owner_uid};
    char *p = agent->text;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!fields[i].value)
            continue;
        agent->fields[agent->n_fields++] = p;
        p = put(put(p, fields[i].name, strlen(fields[i].name)), "=", 1);
        p = put(p, fields[i].value, strlen(fields[i].value) + 1);
    }
    if (setup->agent_id)
        agent->id = agent->fields[0] + sizeof("CAGED_AGENT=") - 1;
    log_share_init(&agent->share, queue, on_relieved, destroy);
    return agent;
}

struct log_agent *log_agent_free(struct log_agent *agent)
{
    if (!agent)
        return NULL;
    tell_lost(agent);
    daemons_own.lost += agent->lost; /* to be told by whoever is left */
    log_share_leave(&agent->share);
    return NULL;
}

bool log_agent_is_over(struct log_agent *agent)
{
    return log_share_is_over(&agent->share);
}

bool log_agent_has_room(struct log_agent *agent)
{
    return log_share_has_room(&agent->share);
}

bool log_agent_is_written(struct log_agent *agent)
{
    return log_share_is_empty(&agent->share);
}

/* -- entries -- */

static void log_valist(struct log_agent *agent, int priority, const char *message_id,
                       const struct log_field *fields, size_t n_fields, const char *format,
                       va_list arguments) PRINTF_LIKE(6, 0);

static void log_valist(struct log_agent *agent, int priority, const char *message_id,
                       const struct log_field *fields, size_t n_fields, const char *format,
                       va_list arguments)
{
    AUTO_FREE char *message = NULL;

    if (vasprintf(&message, format, arguments) < 0)
        message = NULL;
    struct log_record *record =
        message ? record_new(message, strlen(message), fields, n_fields) : NULL;
    if (record) {
        record->time_usec = clock_usec(CLOCK_REALTIME);
        record->priority = (uint8_t)LOG_PRI(priority);
        record->message_id = message_id;
    }
    submit(agent ? agent : &daemons_own, record);
}

void log_message(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_valist(NULL, priority, NULL, NULL, 0, format, arguments);
    va_end(arguments);
}

void log_entry(struct log_agent *agent, int priority, const char *message_id,
               const struct log_field *fields, size_t n_fields, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_valist(agent, priority, message_id, fields, n_fields, format, arguments);
    va_end(arguments);
}

void log_line(const struct log_line *line)
{
    struct log_record *record = record_new(line->data, line->size, NULL, 0);

    if (record) {
        record->time_usec = line->time_usec;
        record->priority = LOG_INFO;
        record->stream = line->stream;
        record->sequence = line->sequence;
        record->partial = line->partial;
    }
    submit(line->agent, record);
}
