/* Punycode (RFC 3492), decoded as far as it takes to know that it is some. Every number in it is
 * written in the only form that this position has (section 3.3), so two spellings of one name
 * cannot both be well-formed: no form has to be compared with another. */
#include "a-label.h"

#include <stdint.h>

/* RFC 3492, section 5 */
#define BASE 36
#define T_MIN 1
#define T_MAX 26
#define SKEW 38
#define DAMP 700
#define INITIAL_BIAS 72
#define INITIAL_N 0x80

#define CODE_POINT_MAX 0x10ffff
#define CONTROLS_END 0xa0 /* U+0080 to U+009F are control characters */
#define PREFIX_LENGTH 4

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool a_label_is_claimed(const char *label, size_t length)
{
    return length >= PREFIX_LENGTH && to_lower(label[0]) == 'x' && to_lower(label[1]) == 'n' &&
           label[2] == '-' && label[3] == '-';
}

/* BASE for what is no digit. */
static uint32_t digit_value(char c)
{
    c = to_lower(c);
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a');
    return c >= '0' && c <= '9' ? (uint32_t)(c - '0') + 26 : BASE;
}

static uint32_t adapt(uint32_t delta, uint32_t n_points, bool first)
{
    uint32_t k = 0;

    delta /= first ? DAMP : 2;
    delta += delta / n_points;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

/* The variable-length number at *p (section 3.3). False where it does not end or is too large. */
static bool take_number(const char **p, const char *end, uint32_t bias, uint32_t *ret)
{
    uint64_t value = 0, weight = 1;

    for (uint32_t k = BASE; *p < end; k += BASE) {
        uint32_t digit = digit_value(*(*p)++);
        if (digit == BASE)
            return false;
        value += digit * weight;
        if (value > UINT32_MAX)
            return false;
        uint32_t t = k <= bias + T_MIN ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
        if (digit < t) {
            *ret = (uint32_t)value;
            return true;
        }
        weight *= BASE - t;
        if (weight > UINT32_MAX)
            return false;
    }
    return false;
}

/* The ASCII characters of the name stand in front of the last hyphen. */
static size_t count_basic(const char *text, size_t length)
{
    for (size_t i = length; i > 0; i--)
        if (text[i - 1] == '-')
            return i - 1;
    return 0;
}

bool a_label_is_valid(const char *label, size_t length)
{
    const char *text = label + PREFIX_LENGTH, *end = label + length;
    uint32_t n_points = (uint32_t)count_basic(text, length - PREFIX_LENGTH);
    const char *p = n_points > 0 ? text + n_points + 1 : text;
    uint64_t n = INITIAL_N;
    uint32_t bias = INITIAL_BIAS, position = 0, delta;
    bool first = true;

    if (p == end || *text == '-')
        return false;
    while (p < end) {
        if (!take_number(&p, end, bias, &delta))
            return false;
        n_points++;
        n += ((uint64_t)position + delta) / n_points;
        position = (uint32_t)(((uint64_t)position + delta) % n_points) + 1;
        if (n < CONTROLS_END || n > CODE_POINT_MAX || (n >= 0xd800 && n <= 0xdfff))
            return false;
        bias = adapt(delta, n_points, first);
        first = false;
    }
    return true;
}
