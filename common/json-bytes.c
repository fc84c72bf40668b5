/* Bytes of any kind in JSON. */
#include "json-bytes.h"

#include "base64.h"
#include "util.h"

json_t *json_bytes(const void *bytes, size_t size, const char **ret_name)
{
    bool has_nul = size > 0 && memchr(bytes, 0, size);
    json_t *text = has_nul ? NULL : json_stringn(bytes, size);

    *ret_name = text ? "text" : "data";
    if (text)
        return text;
    AUTO_FREE char *encoded = base64_encode(bytes, size);
    return encoded ? json_string(encoded) : NULL;
}
