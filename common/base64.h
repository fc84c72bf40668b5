/* Base64 (RFC 4648, section 4, with padding): how output that is not text travels in JSON. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* NUL-terminated text for the caller to free, NULL without memory. */
char *base64_encode(const void *data, size_t size);

/* 0 with bytes for the caller to free (never NULL), -EINVAL unless the text is canonical base64 of
 * a multiple of four characters, -ENOMEM. */
int base64_decode(const char *text, void **ret, size_t *ret_size);
