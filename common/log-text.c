/* Writes records as lines of text to standard error. In text, bytes that are not printable UTF-8
 * are written as \xNN, so that an agent's output never looks like a line of the daemon. */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#include "log-record.h"

#define LINE_PIECE 4096

static const char *const priority_names[] = {
    [LOG_EMERG] = "emergency", [LOG_ALERT] = "alert",     [LOG_CRIT] = "critical",
    [LOG_ERR] = "error",       [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",       [LOG_DEBUG] = "debug",
};

struct line {
    char buffer[LINE_PIECE];
    size_t used;
    struct log_queue *queue; /* NULL: the line is written at once */
};

static void set_held(const struct line *line, int error)
{
    if (line->queue)
        log_queue_set_held(line->queue, error);
}

/* A full disk is a matter of time, and told; for any other failure nobody is left to be told. */
static void line_flush(struct line *line)
{
    const char *p = line->buffer;
    bool held = false;

    while (line->used > 0) {
        ssize_t n = write(STDERR_FILENO, p, line->used);
        if (n > 0) {
            p += n;
            line->used -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
        } else if (n < 0 && (errno == ENOSPC || errno == EDQUOT)) {
            held = true;
            set_held(line, errno);
            (void)sleep(1);
        } else if (n == 0 || errno != EINTR) {
            line->used = 0;
        }
    }
    if (held)
        set_held(line, 0);
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

static void line_begin(struct line *line, uint64_t time_usec)
{
    time_t now = (time_t)(time_usec / 1000000);
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

static void line_put_field(struct line *line, const char *field)
{
    size_t name = strcspn(field, "=");
    const char *value = field + name + (field[name] ? 1 : 0);

    line_put(line, " ", 1);
    line_put(line, field, name);
    line_put(line, "=\"", 2);
    line_put_escaped(line, value, strlen(value), true);
    line_put(line, "\"", 1);
}

void log_text_write(const struct log_record *record)
{
    const struct log_agent *agent = log_agent_of(record);
    const char *message = record->data + sizeof("MESSAGE=") - 1;
    const char *field = log_record_first_field(record);
    struct line line; /* not all of it is set: it is large, and this is done for each entry */

    line.queue = record->share->queue;
    line_begin(&line, record->time_usec);
    if (record->stream)
        line_put_format(&line, "agent %s of uid %ju, %s: ", agent->id, (uintmax_t)agent->owner_uid,
                        record->stream);
    else
        line_put_format(&line, "%s: %s: ", LOG_DAEMON_NAME, priority_names[record->priority]);
    line_put_escaped(&line, message, record->message_size, false);
    for (size_t i = 0; i < agent->n_fields && !record->stream; i++)
        line_put_field(&line, agent->fields[i]);
    for (size_t i = 0; i < record->n_fields; i++) {
        line_put_field(&line, field);
        field = log_record_next_field(field);
    }
    line_end(&line);
}
