/* Base64 as of RFC 4648, section 4, decoded strictly. Pure. */
#pragma once

#include <stddef.h>

/* How much room base64_decode needs at most. */
#define BASE64_DECODED_MAX(length) ((length) / 4 * 3)

/* 0 with the bytes in `ret`, or -EINVAL: wrong length, foreign characters, misplaced padding. */
int base64_decode(const char *text, size_t length, unsigned char *ret, size_t *ret_size);
