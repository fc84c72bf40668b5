/* Base64. */
#include "base64.h"

#include "util.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t size)
{
    const uint8_t *in = data;
    char *text = malloc((size + 2) / 3 * 4 + 1), *out = text;

    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = MIN_OF(size - i, (size_t)3);
        uint32_t bits = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (n > 2 ? in[i + 2] : 0);
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = n > 1 ? alphabet[bits >> 6 & 63] : '=';
        *out++ = n > 2 ? alphabet[bits & 63] : '=';
    }
    *out = 0;
    return text;
}

static int value_of(char c)
{
    const char *found = c ? strchr(alphabet, c) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

int base64_decode(const char *text, void **ret, size_t *ret_size)
{
    size_t length = strlen(text), padding = 0, size = 0;

    if (length % 4 != 0)
        return -EINVAL;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    AUTO_FREE uint8_t *out = malloc(length / 4 * 3 + 1);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t bits = 0;
        size_t pads = i + 4 == length ? padding : 0;
        for (size_t k = 0; k < 4; k++) {
            int value = k >= 4 - pads ? 0 : value_of(text[i + k]);
            if (value < 0)
                return -EINVAL;
            bits = bits << 6 | (uint32_t)value;
        }
        if (bits & ((1u << (8 * pads)) - 1)) /* bits beyond the last byte must be zero */
            return -EINVAL;
        for (size_t k = 0; k < 3 - pads; k++)
            out[size++] = (uint8_t)(bits >> (16 - 8 * k));
    }
    *ret = TAKE_PTR(out);
    *ret_size = size;
    return 0;
}
