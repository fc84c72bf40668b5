/* Bytes of any kind in JSON, as type LogLine of io.caged.varlink has them. Pure but for allocation.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* A string: of the text where the bytes are text that JSON can hold as it is, and *ret_name is
 * "text" then; else in base64, and it is "data". New reference, NULL without memory. */
json_t *json_bytes(const void *bytes, size_t size, const char **ret_name);
