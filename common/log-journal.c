/* Writes records to the journal.
 *
 * sd_journal_sendv(3) blocks while the journal's socket is full, which is fine in the writer's
 * thread. It fails with -ECONNREFUSED when nobody has the socket, but when the socket's file is not
 * there it says nothing and returns 0. So we look at the file before and after: if it was there and
 * is the same, the record was taken. If not, it is sent again, and again until the journal is back.
 * One that was taken just before the socket was replaced is then there twice, which CAGED_SEQUENCE
 * tells.
 *
 * While journald is restarted systemd keeps the socket, and records wait in it. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "log-record.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 16 /* that we add to a record's own */
#define PATIENCE_MIN_MSEC 10
#define PATIENCE_MAX_MSEC 1000

#define AGENT_NAME "caged-agent" /* journalctl -t caged-agent: what the agents print, no more */

bool log_journal_is_due(void)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    return sd_booted() > 0;
}

/* -- the fields of a record -- */

struct entry {
    struct iovec fields[FIELDS_MAX + LOG_FIELDS_MAX];
    int n_fields;
    char texts[5][48]; /* of those that are put together here */
    size_t n_texts;
};

static void add(struct entry *entry, const char *field, size_t size)
{
    entry->fields[entry->n_fields++] = (struct iovec){(char *)field, size};
}

static void add_text(struct entry *entry, const char *field)
{
    add(entry, field, strlen(field));
}

static void add_pair(struct entry *entry, const char *name, const char *value)
{
    char *text = entry->texts[entry->n_texts++];

    (void)snprintf(text, sizeof(entry->texts[0]), "%s=%s", name, value);
    add_text(entry, text);
}

static void add_number(struct entry *entry, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%ju", (uintmax_t)value);
    add_pair(entry, name, text);
}

static void make_entry(const struct log_record *record, struct entry *entry)
{
    const struct log_agent *agent = log_agent_of(record);
    const char *field = log_record_first_field(record);

    entry->n_fields = 0;
    entry->n_texts = 0;
    add(entry, record->data, sizeof("MESSAGE=") - 1 + record->message_size);
    add_number(entry, "PRIORITY", record->priority);
    add_number(entry, "CAGED_TIME_USEC", record->time_usec);
    for (size_t i = 0; i < agent->n_fields; i++)
        add_text(entry, agent->fields[i]);
    if (record->message_id)
        add_pair(entry, "MESSAGE_ID", record->message_id);
    if (record->stream) {
        add_text(entry, "SYSLOG_IDENTIFIER=" AGENT_NAME);
        add_pair(entry, "CAGED_STREAM", record->stream);
        add_number(entry, "CAGED_SEQUENCE", record->sequence);
        if (record->partial)
            add_text(entry, "CAGED_PARTIAL=1");
    } else {
        add_text(entry, "SYSLOG_IDENTIFIER=" LOG_DAEMON_NAME);
    }
    for (size_t i = 0; i < record->n_fields; i++) {
        add_text(entry, field);
        field = log_record_next_field(field);
    }
}

/* -- sending -- */

struct place { /* which file is at the socket's path; all zero: none */
    dev_t device;
    ino_t inode;
    struct timespec changed;
};

static struct place place_now(void)
{
    struct stat st;

    if (stat(JOURNAL_SOCKET, &st) < 0)
        return (struct place){};
    return (struct place){st.st_dev, st.st_ino, st.st_ctim};
}

static bool is_same(const struct place *a, const struct place *b)
{
    return a->inode != 0 && a->inode == b->inode && a->device == b->device &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void wait_a_while(unsigned msec)
{
    const struct timespec time = {.tv_sec = msec / 1000, .tv_nsec = (long)(msec % 1000) * 1000000};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

void log_journal_write(const struct log_record *record)
{
    unsigned patience = PATIENCE_MIN_MSEC;
    struct entry entry;

    make_entry(record, &entry);
    for (;;) {
        const struct place before = place_now();
        int r = sd_journal_sendv(entry.fields, entry.n_fields);
        if (r == -EINVAL) { /* not a matter of time */
            log_text_write(record);
            return;
        }
        const struct place after = place_now();
        if (r == 0 && is_same(&before, &after))
            return;
        wait_a_while(patience);
        patience = MIN_OF(patience * 2, (unsigned)PATIENCE_MAX_MSEC);
    }
}
