/* An agent's output on its way to a terminal (ECMA-48 for the names). */
#include "terminal-filter.h"

#include <stdint.h>

#include "util.h"

#define ESCAPE 0x1b

static bool is_printable(uint8_t c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t' || c == '\r';
}

static size_t show(uint8_t c, char *ret)
{
    static const char hex[] = "0123456789abcdef";

    if (is_printable(c) && c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    if (c < 0x80) { /* caret notation; DEL is ^? */
        ret[0] = '^';
        ret[1] = (char)(c ^ 0x40);
        return 2;
    }
    ret[0] = '\\';
    ret[1] = 'x';
    ret[2] = hex[c >> 4];
    ret[3] = hex[c & 15];
    return 4;
}

size_t terminal_filter_finish(struct terminal_filter *filter, char *ret)
{
    size_t size = 0;

    for (size_t i = 0; i < filter->n_held; i++)
        size += show((uint8_t)filter->held[i], ret + size);
    filter->n_held = 0;
    return size;
}

/* Whether what is held and `c` can still become ESC [ digits m. */
static bool sequence_goes_on(const struct terminal_filter *filter, uint8_t c)
{
    if (filter->n_held == 1)
        return c == '[';
    return (c >= '0' && c <= '9') || c == ';' || c == ':';
}

static void hold(struct terminal_filter *filter, uint8_t c)
{
    filter->held[filter->n_held++] = (char)c;
}

/* A byte after ESC. Returns true if it was used up, with what is to be printed in ret. */
static bool escape_step(struct terminal_filter *filter, uint8_t c, char *ret, size_t *size)
{
    if (filter->n_held >= 2 && c == 'm') {
        memcpy(ret + *size, filter->held, filter->n_held);
        *size += filter->n_held;
        ret[(*size)++] = 'm';
        filter->n_held = 0;
        return true;
    }
    if (sequence_goes_on(filter, c) && filter->n_held < sizeof(filter->held)) {
        hold(filter, c);
        return true;
    }
    *size += terminal_filter_finish(filter, ret + *size);
    return false;
}

/* The byte after 0xc2: U+0080 to U+009F are C1 controls in UTF-8, the rest is text. */
static bool latin_step(struct terminal_filter *filter, uint8_t c, char *ret, size_t *size)
{
    if (c >= 0xa0 && c <= 0xbf) {
        filter->n_held = 0;
        ret[(*size)++] = (char)0xc2;
        ret[(*size)++] = (char)c;
        return true;
    }
    *size += terminal_filter_finish(filter, ret + *size);
    if (c < 0x80 || c > 0x9f)
        return false;
    *size += show(c, ret + *size);
    return true;
}

size_t terminal_filter_apply(struct terminal_filter *filter, const char *data, size_t size,
                             char *ret)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)data[i];
        if (filter->n_held > 0) {
            bool latin = (uint8_t)filter->held[0] == 0xc2;
            if (latin ? latin_step(filter, c, ret, &used) : escape_step(filter, c, ret, &used))
                continue;
        }
        if (c == ESCAPE || c == 0xc2)
            hold(filter, c);
        else if (is_printable(c))
            ret[used++] = (char)c;
        else
            used += show(c, ret + used);
    }
    return used;
}
