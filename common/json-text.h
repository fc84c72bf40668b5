/* JSON text of strangers: strict parsing with jansson (duplicate keys, NUL, invalid UTF-8 and
 * over-deep nesting refused), and an error that says at which JSON path it is. Fuzzed. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define JSON_TEXT_NESTING_MAX 64 /* the greatest `max_nesting` */

/* `path` and `found` are printable ASCII and never hold a value of the text, which may be secret.
 */
struct json_text_error {
    char path[256];  /* "$.environment.A", "$.command[3]"; where the parser stood */
    char found[128]; /* "a duplicate key", "a NUL character", "the end of the text", ... */
    int line;        /* 1-based */
    int column;      /* 1-based, in characters */
};

/* Any JSON value is taken, not only an array or an object. 0 with a new reference; -EINVAL with
 * *ret_error; -ENOMEM. `max_nesting` counts arrays and objects that are open at once; more is
 * refused before jansson sees it. */
int json_text_parse(const char *text, size_t size, unsigned max_nesting, json_t **ret,
                    struct json_text_error *ret_error);

/* Where in a text that was parsed stands what a JSON path names: its key, or where there is none,
 * its value; if there is no such thing, what is nearest around it. Both 1-based. */
void json_text_locate(const char *text, size_t size, const char *path, int *ret_line,
                      int *ret_column);

/* Append ".key" (or ["the key"] where it is no plain word) or "[3]" to a terminated JSON path in a
 * buffer. What does not fit is cut; bytes that are not printable ASCII become '?'. */
void json_path_append_key(char *path, size_t size, const char *key, size_t length);
void json_path_append_index(char *path, size_t size, size_t index);

/* A JSON string of text that may not be valid UTF-8 (a path, a cut sentence): where it is not,
 * every byte beyond ASCII becomes '?', so that one odd name never costs a whole reply. New
 * reference, NULL without memory. */
json_t *json_string_lossy(const char *text);
