/* Whom log entries are about, and the two ways to write a record. Private to log*.c. */
#pragma once

#include "log-queue.h"

#define LOG_DAEMON_NAME "cagedd"
#define LOG_FIELDS_MAX 32 /* of one entry, besides those of its agent */

/* What all entries about an agent have in common. For the daemon's own there is one without fields.
 */
struct log_agent {
    struct log_share share;
    void (*relieved)(void *user);
    void *user;
    uint64_t lost;         /* entries that there was no room for, and nobody was told yet */
    const char *fields[4]; /* "NAME=value"; they lie in `text` */
    size_t n_fields;
    const char *id;
    uint64_t owner_uid;
    char text[];
};

static inline const struct log_agent *log_agent_of(const struct log_record *record)
{
    return CONTAINER_OF(record->share, struct log_agent, share);
}

/* A field of a record, the first being what follows the message; `field` is the one before. */
static inline const char *log_record_first_field(const struct log_record *record)
{
    return record->data + sizeof("MESSAGE=") - 1 + record->message_size + 1;
}

static inline const char *log_record_next_field(const char *field)
{
    return field + strlen(field) + 1;
}

/* Whether entries are to go to the journal: it is there, or it will be, since systemd runs. */
bool log_journal_is_due(void);

/* Both return when the record is written, or never can be. */
void log_journal_write(const struct log_record *record);
void log_text_write(const struct log_record *record);
