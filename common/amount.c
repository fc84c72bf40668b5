/* Amounts as people read them. */
#include "amount.h"

#include <stdio.h>

#include "util.h"

/* Two digits at least, and not more than three: "1.2", "12", "123". Cut, never rounded up. */
static void put_scaled(uint64_t value, uint64_t unit, const char *name, struct amount *buffer)
{
    uint64_t whole = value / unit;

    if (whole < 10 && unit > 1)
        (void)snprintf(buffer->text, sizeof(buffer->text), "%ju.%ju %s", (uintmax_t)whole,
                       (uintmax_t)(value % unit / (unit / 10)), name);
    else
        (void)snprintf(buffer->text, sizeof(buffer->text), "%ju %s", (uintmax_t)whole, name);
}

const char *amount_of_bytes(uint64_t bytes, struct amount *buffer)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t unit = 1;
    size_t i = 0;

    while (i + 1 < ARRAY_SIZE(names) && bytes / unit >= 1000) {
        unit *= 1000;
        i++;
    }
    put_scaled(bytes, unit, names[i], buffer);
    return buffer->text;
}

const char *amount_of_time(uint64_t usec, struct amount *buffer)
{
    uint64_t seconds = usec / 1000000, minutes = seconds / 60, hours = minutes / 60;

    if (seconds == 0)
        put_scaled(usec / 1000, 1, "ms", buffer);
    else if (minutes == 0)
        put_scaled(usec, 1000000, "s", buffer);
    else if (hours == 0)
        (void)snprintf(buffer->text, sizeof(buffer->text), "%jum %jus", (uintmax_t)minutes,
                       (uintmax_t)(seconds % 60));
    else
        (void)snprintf(buffer->text, sizeof(buffer->text), "%juh %jum", (uintmax_t)hours,
                       (uintmax_t)(minutes % 60));
    return buffer->text;
}

const char *amount_of_count(uint64_t count, struct amount *buffer)
{
    char *p = buffer->text + sizeof(buffer->text);
    unsigned digits = 0;

    *--p = '\0';
    do {
        if (digits > 0 && digits % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + count % 10);
        count /= 10;
        digits++;
    } while (count > 0);
    return p;
}
