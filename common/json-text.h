/* JSON text of strangers: strict parsing with jansson (duplicate keys, NUL, invalid UTF-8 and
 * over-deep nesting refused), and an error that says at which JSON path it is. Fuzzed. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct json_text_error {
    char path[256];  /* "$.environment.A", "$.command[3]"; where the parser stood */
    char found[128]; /* "a duplicate key", "a NUL character", "the end of the text", ... */
    int line;        /* 1-based */
    int column;
};

/* 0 with a new reference; -EINVAL with *ret_error; -ENOMEM. `max_nesting` counts arrays and
 * objects that are open at once; more is refused before jansson sees it. */
int json_text_parse(const char *text, size_t size, unsigned max_nesting, json_t **ret,
                    struct json_text_error *ret_error);
