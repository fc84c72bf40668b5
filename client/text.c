/* Text for people: what strangers wrote is made harmless before it reaches a terminal. */
#include "text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#define MESSAGE_MAX 2048

static char last[MESSAGE_MAX]; /* what say() said */

/* How many bytes from `p` on are one character that must not be sent to a terminal; 0: none. */
static size_t harmful_length(const unsigned char *p)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 1;
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) /* U+0080 to U+009F: C1 */
        return 2;
    if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) /* U+202A to U+202E */
        return 3;
    if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9) /* U+2066 to U+2069 */
        return 3;
    return 0;
}

void text_print(FILE *file, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    while (*p) {
        size_t n = harmful_length(p);
        for (; n > 0; n--)
            (void)fprintf(file, "\\x%02x", *p++);
        if (*p && harmful_length(p) == 0)
            (void)fputc(*p++, file);
    }
}

void text_make_safe(const char *text, char *buffer, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t used = 0;

    while (*p) {
        size_t n = harmful_length(p);
        if (used + MAX_OF(4 * n, (size_t)1) >= size)
            break;
        if (n == 0)
            buffer[used++] = (char)*p++;
        for (; n > 0; n--)
            used += (size_t)snprintf(buffer + used, size - used, "\\x%02x", *p++);
    }
    buffer[used] = 0;
}

PRINTF_LIKE(2, 0)
static void say_safely(const char *prefix, const char *format, va_list arguments)
{
    char message[MESSAGE_MAX];

    /* A message that is too long is cut. */
    if (vsnprintf(message, sizeof(message), format, arguments) < 0)
        return;
    (void)fputs(prefix, stderr);
    text_print(stderr, message);
    (void)fputc('\n', stderr);
}

void say(const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    say_safely("cagectl: ", format, arguments);
    if (vsnprintf(message, sizeof(message), format, again) >= 0)
        text_make_safe(message, last, sizeof(last));
    va_end(again);
    va_end(arguments);
}

const char *said_last(void)
{
    return last;
}

void say_hint(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say_safely("  ", format, arguments);
    va_end(arguments);
}

void duration_format(uint64_t seconds, char *buffer, size_t size)
{
    if (seconds < 60)
        (void)snprintf(buffer, size, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        (void)snprintf(buffer, size, "%" PRIu64 "m %" PRIu64 "s", seconds / 60, seconds % 60);
    else if (seconds < 24 * 3600)
        (void)snprintf(buffer, size, "%" PRIu64 "h %" PRIu64 "m", seconds / 3600,
                       seconds / 60 % 60);
    else
        (void)snprintf(buffer, size, "%" PRIu64 "d %" PRIu64 "h", seconds / 86400,
                       seconds / 3600 % 24);
}

void time_format(uint64_t usec, char *buffer, size_t size)
{
    time_t seconds = (time_t)(usec / 1000000);
    struct tm tm;
    char date[64];

    if (!localtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%F %T", &tm) == 0)
        (void)snprintf(date, sizeof(date), "?");
    (void)snprintf(buffer, size, "%s.%03u", date, (unsigned)(usec / 1000 % 1000));
}

void target_format(const char *host, uint64_t port, uint64_t count, char *buffer, size_t size)
{
    if (!*host)
        (void)snprintf(buffer, size, count > 1 ? "(several)" : "-");
    else
        (void)snprintf(buffer, size, strchr(host, ':') ? "[%s]:%" PRIu64 : "%s:%" PRIu64, host,
                       port);
}
