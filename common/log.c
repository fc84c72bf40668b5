/* Log entries, to the journal or as text to stderr.
 *
 * An entry is a list of fields for the journal, whose protocol carries any byte in a value, so that
 * nothing in a value can begin a field or an entry of its own. As text it is one line: who speaks
 * stands in front, where no message can get to, and control bytes and what is not UTF-8 are
 * written as \xNN, so that an agent's output never looks like a line of the daemon. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "fd-io.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define ENTRY_FIELDS_MAX 32
#define LINE_PIECE 4096

#define DAEMON_NAME "cagedd"
#define AGENT_NAME                                                                                 \
    "caged-agent" /* journalctl -t caged-agent: what the agents print, nothing else */

static bool journal_is_open;

static const char *const priority_names[] = {
    [LOG_EMERG] = "emergency", [LOG_ALERT] = "alert",     [LOG_CRIT] = "critical",
    [LOG_ERR] = "error",       [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",       [LOG_DEBUG] = "debug",
};

void log_open(void)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    journal_is_open =
        fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

/* -- journal entries -- */

struct entry {
    struct iovec fields[ENTRY_FIELDS_MAX];
    size_t n_fields;
    int error; /* the first failure; later fields are left out */
};

static void entry_deinit(struct entry *entry)
{
    for (size_t i = 0; i < entry->n_fields; i++)
        free(entry->fields[i].iov_base);
}

static void entry_add(struct entry *entry, const char *name, const void *value, size_t size)
{
    size_t name_length = strlen(name);
    char *field;

    if (entry->error < 0)
        return;
    if (entry->n_fields == ENTRY_FIELDS_MAX) {
        entry->error = -E2BIG;
        return;
    }
    field = malloc(name_length + 1 + size);
    if (!field) {
        entry->error = -ENOMEM;
        return;
    }
    memcpy(field, name, name_length);
    field[name_length] = '=';
    if (size > 0)
        memcpy(field + name_length + 1, value, size);
    entry->fields[entry->n_fields++] = (struct iovec){field, name_length + 1 + size};
}

static void entry_add_string(struct entry *entry, const char *name, const char *value)
{
    if (value)
        entry_add(entry, name, value, strlen(value));
}

static void entry_add_number(struct entry *entry, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%ju", (uintmax_t)value);
    entry_add_string(entry, name, text);
}

/* Whether the journal has it; if not, it has to become text. */
static bool entry_send(const struct entry *entry)
{
    return entry->error == 0 && sd_journal_sendv(entry->fields, (int)entry->n_fields) == 0;
}

/* -- text lines -- */

struct line {
    char buffer[LINE_PIECE];
    size_t used;
};

static void line_flush(struct line *line)
{
    (void)fd_write_all(STDERR_FILENO, line->buffer, line->used); /* nobody is left to be told */
    line->used = 0;
}

static void line_put(struct line *line, const char *data, size_t size)
{
    if (line->used + size > sizeof(line->buffer))
        line_flush(line);
    memcpy(line->buffer + line->used, data, size);
    line->used += size;
}

static void line_put_format(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);

static void line_put_format(struct line *line, const char *format, ...)
{
    char text[128];
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (n > 0)
        line_put(line, text, MIN_OF((size_t)n, sizeof(text) - 1));
}

/* The length of the printable UTF-8 character (RFC 3629) at the start of the data, or 0: C0 and C1
 * controls, over-long forms, surrogates and stray bytes are none. */
static size_t character_length(const unsigned char *data, size_t size)
{
    static const struct {
        unsigned char first, first_end, second, second_end;
        size_t length;
    } forms[] = {
        {0x20, 0x7e, 0, 0, 1},       {0xc2, 0xc2, 0xa0, 0xbf, 2}, {0xc3, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
        if (data[0] < forms[f].first || data[0] > forms[f].first_end)
            continue;
        if (forms[f].length == 1)
            return 1;
        if (size < forms[f].length || data[1] < forms[f].second || data[1] > forms[f].second_end)
            return 0;
        for (size_t i = 2; i < forms[f].length; i++)
            if ((data[i] & 0xc0) != 0x80)
                return 0;
        return forms[f].length;
    }
    return 0;
}

static void line_put_escaped(struct line *line, const void *data, size_t size, bool quoted)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size;) {
        size_t length = character_length(bytes + i, size - i);
        bool quote = quoted && (bytes[i] == '"' || bytes[i] == '\\');
        if (quote)
            line_put(line, "\\", 1);
        if (length > 0)
            line_put(line, (const char *)bytes + i, length);
        else if (bytes[i] == '\t' && !quoted)
            line_put(line, "\t", 1);
        else
            line_put_format(line, "\\x%02x", bytes[i]);
        i += MAX_OF(length, (size_t)1);
    }
}

static void line_begin(struct line *line)
{
    time_t now = time(NULL);
    struct tm parts;
    char text[32] = "";

    line->used = 0;
    if (gmtime_r(&now, &parts))
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ ", &parts);
    line_put(line, text, strlen(text));
}

static void line_end(struct line *line)
{
    line_put(line, "\n", 1);
    line_flush(line);
}

static void write_line(int priority, const char *message, const struct log_field *fields,
                       size_t n_fields)
{
    struct line line;

    line_begin(&line);
    line_put_format(&line, "%s: %s: ", DAEMON_NAME, priority_names[LOG_PRI(priority)]);
    line_put_escaped(&line, message, strlen(message), false);
    for (size_t i = 0; i < n_fields; i++) {
        if (!fields[i].value)
            continue;
        line_put_format(&line, " %s=\"", fields[i].name);
        line_put_escaped(&line, fields[i].value, strlen(fields[i].value), true);
        line_put(&line, "\"", 1);
    }
    line_end(&line);
}

/* -- what the daemon calls -- */

static void log_text(int priority, const char *message_id, const struct log_field *fields,
                     size_t n_fields, const char *message)
{
    CLEANUP(entry_deinit) struct entry entry = {};
    bool sent = false;

    if (journal_is_open) {
        entry_add_string(&entry, "MESSAGE", message);
        entry_add_number(&entry, "PRIORITY", LOG_PRI(priority));
        entry_add_string(&entry, "SYSLOG_IDENTIFIER", DAEMON_NAME);
        entry_add_string(&entry, "MESSAGE_ID", message_id);
        for (size_t i = 0; i < n_fields; i++)
            entry_add_string(&entry, fields[i].name, fields[i].value);
        sent = entry_send(&entry);
    }
    if (!sent)
        write_line(priority, message, fields, n_fields);
}

static void log_valist(int priority, const char *message_id, const struct log_field *fields,
                       size_t n_fields, const char *format, va_list arguments) PRINTF_LIKE(5, 0);

static void log_valist(int priority, const char *message_id, const struct log_field *fields,
                       size_t n_fields, const char *format, va_list arguments)
{
    AUTO_FREE char *message = NULL;

    /* Without memory the bare format still tells what happened. */
    if (vasprintf(&message, format, arguments) < 0)
        message = NULL;
    log_text(priority, message_id, fields, n_fields, message ? message : format);
}

void log_message(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_valist(priority, NULL, NULL, 0, format, arguments);
    va_end(arguments);
}

void log_entry(int priority, const char *message_id, const struct log_field *fields,
               size_t n_fields, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_valist(priority, message_id, fields, n_fields, format, arguments);
    va_end(arguments);
}

void log_agent_line(const char *agent_id, const char *stream, uint64_t owner_uid, const void *line,
                    size_t size)
{
    CLEANUP(entry_deinit) struct entry entry = {};
    struct line text;

    if (journal_is_open) {
        entry_add(&entry, "MESSAGE", line, size);
        entry_add_number(&entry, "PRIORITY", LOG_INFO);
        entry_add_string(&entry, "SYSLOG_IDENTIFIER", AGENT_NAME);
        entry_add_string(&entry, "CAGED_AGENT", agent_id);
        entry_add_string(&entry, "CAGED_STREAM", stream);
        entry_add_number(&entry, "CAGED_OWNER_UID", owner_uid);
        if (entry_send(&entry))
            return;
    }
    line_begin(&text);
    line_put_format(&text, "agent %s of uid %ju, %s: ", agent_id, (uintmax_t)owner_uid, stream);
    line_put_escaped(&text, line, size, false);
    line_end(&text);
}
