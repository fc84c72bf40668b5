/* The error of a card or a policy, as it has to be: for fuzz-card.c and fuzz-policy.c. */
#pragma once

#include <string.h>

#include "card.h"
#include "fuzz.h"

/* Whole, terminated and printable; and it goes into a reply, which has to be JSON. */
static inline void check_text(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    require(length > 0 && length < size);
    for (size_t i = 0; i < length; i++)
        require((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
    json_t *string = json_stringn(text, length);
    require(string != NULL);
    json_decref(string);
}

static inline void check_error(const struct card_error *error)
{
    check_text(error->path, sizeof(error->path));
    check_text(error->found, sizeof(error->found));
    check_text(error->expected, sizeof(error->expected));
    require(error->path[0] == '$');
}
