/* Base64 as of RFC 4648, section 4. */
#include "base64.h"

#include <stdint.h>

#include "util.h"

static int digit_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;

    return p ? (int)(p - digits) : -EINVAL;
}

/* How many of the last four characters are padding: 0 to 2. */
static size_t padding_count(const char *text, size_t length)
{
    if (length == 0 || text[length - 1] != '=')
        return 0;
    return text[length - 2] == '=' ? 2 : 1;
}

int base64_decode(const char *text, size_t length, unsigned char *ret, size_t *ret_size)
{
    size_t padding = padding_count(text, length), size = 0;

    if (length % 4 != 0)
        return -EINVAL;
    for (size_t i = 0; i < length; i += 4) {
        size_t missing = i + 4 == length ? padding : 0;
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j >= 4 - missing ? 0 : digit_value(text[i + j]);
            if (value < 0)
                return -EINVAL;
            bits = bits << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j < 3 - missing; j++)
            ret[size++] = (unsigned char)(bits >> (16 - 8 * j));
    }
    *ret_size = size;
    return 0;
}
