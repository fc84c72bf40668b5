/* Strict JSON parsing with an error that has a JSON path.
 *
 * jansson decides what is JSON, and tells the position at which it gave up. Our scanner then walks
 * the text up to there and keeps the chain of open arrays and objects with the key or index at
 * which each of them stands: that chain is the path. The scanner only splits text into tokens; it
 * need not be right about text that jansson never gets to, only harmless. The same scanner refuses
 * deep nesting before jansson, which recurses, sees the text. */
#include "json-text.h"

#include <stdio.h>

#include "util.h"

#define KEY_SHOWN_MAX 64 /* bytes of one key in a path */

struct frame {
    bool array;
    bool expects_key; /* an object, at its start or after a comma */
    size_t index;     /* of an array */
    size_t key;       /* of an object: where the key's text begins, as written, and its length */
    size_t key_size;
};

struct scanner {
    const char *text;
    size_t size;
    size_t offset;
    size_t token; /* where the last token began */
    unsigned max_nesting;
    unsigned depth;
    struct frame frames[JSON_TEXT_NESTING_MAX];
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_structural(char c)
{
    return c != '\0' && strchr("[]{},:", c);
}

static bool is_plain(const char *key, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = key[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
        bool inner = (c >= '0' && c <= '9') || c == '-';
        if (!letter && !(inner && i > 0))
            return false;
    }
    return length > 0;
}

void json_path_append_key(char *path, size_t size, const char *key, size_t length)
{
    size_t used = strlen(path);
    size_t shown = MIN_OF(length, (size_t)KEY_SHOWN_MAX);
    char clean[KEY_SHOWN_MAX + 1];

    for (size_t i = 0; i < shown; i++)
        clean[i] = key[i] >= ' ' && key[i] <= '~' ? key[i] : '?';
    clean[shown] = '\0';
    (void)snprintf(path + used, size - used, is_plain(key, length) ? ".%s%s" : "[\"%s%s\"]", clean,
                   shown < length ? "..." : "");
}

void json_path_append_index(char *path, size_t size, size_t index)
{
    size_t used = strlen(path);

    (void)snprintf(path + used, size - used, "[%zu]", index);
}

static int scan_open(struct scanner *s, bool array)
{
    if (s->depth >= s->max_nesting)
        return -E2BIG;
    s->frames[s->depth++] = (struct frame){.array = array, .expects_key = !array};
    return 0;
}

static void scan_comma(struct scanner *s)
{
    struct frame *top = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;

    if (!top)
        return;
    top->index++;
    top->key_size = 0;
    top->expects_key = !top->array;
}

/* Moves past a string; one that is not closed ends with the text. */
static void scan_string(struct scanner *s)
{
    struct frame *top = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;
    size_t start = ++s->offset;

    while (s->offset < s->size && s->text[s->offset] != '"')
        s->offset += s->text[s->offset] == '\\' ? 2 : 1;
    if (s->offset >= s->size) {
        s->offset = s->size;
        return;
    }
    if (top && top->expects_key) {
        top->key = start;
        top->key_size = s->offset - start;
        top->expects_key = false;
    }
    s->offset++;
}

/* Moves past the next token: 1, 0 at the end of the text, -E2BIG where it nests too deep. */
static int scan_next(struct scanner *s)
{
    while (s->offset < s->size && is_space(s->text[s->offset]))
        s->offset++;
    s->token = s->offset;
    if (s->offset >= s->size)
        return 0;

    char c = s->text[s->offset];
    if (c == '"') {
        scan_string(s);
        return 1;
    }
    if (!is_structural(c)) { /* a number or a word */
        while (s->offset < s->size && s->text[s->offset] != '"' && !is_space(s->text[s->offset]) &&
               !is_structural(s->text[s->offset]))
            s->offset++;
        return 1;
    }
    s->offset++;
    if (c == '[' || c == '{')
        return scan_open(s, c == '[') < 0 ? -E2BIG : 1;
    if ((c == ']' || c == '}') && s->depth > 0)
        s->depth--;
    if (c == ',')
        scan_comma(s);
    return 1;
}

/* Scans to where jansson stopped after `stop` bytes. A bracket, comma or colon at which it stopped
 * is what is wrong, so it is not followed. */
static void scan_until(struct scanner *s, size_t stop)
{
    for (;;) {
        while (s->offset < stop && is_space(s->text[s->offset]))
            s->offset++;
        if (s->offset >= stop)
            return;
        if (s->offset == stop - 1 && is_structural(s->text[s->offset])) {
            s->token = s->offset;
            return;
        }
        if (scan_next(s) <= 0)
            return;
    }
}

static void write_path(const struct scanner *s, char *path, size_t size)
{
    (void)snprintf(path, size, "$");
    for (unsigned i = 0; i < s->depth; i++) {
        const struct frame *f = &s->frames[i];
        if (f->array)
            json_path_append_index(path, size, f->index);
        else if (!f->expects_key)
            json_path_append_key(path, size, s->text + f->key, f->key_size);
    }
}

static void write_position(const char *text, size_t offset, struct json_text_error *error)
{
    error->line = 1;
    error->column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            error->line++;
            error->column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) { /* not the rest of a character */
            error->column++;
        }
    }
}

/* What stands at a token that jansson did not expect, without telling more than its kind: it may be
 * a secret whose quotes were forgotten. */
static void describe_token(const struct scanner *s, char *found, size_t size)
{
    unsigned char c = s->token < s->size ? (unsigned char)s->text[s->token] : 0;

    if (s->token >= s->size)
        (void)snprintf(found, size, "the end of the text");
    else if (c == '"')
        (void)snprintf(found, size, "a string out of place");
    else if ((c >= '0' && c <= '9') || c == '-')
        (void)snprintf(found, size, "a number that is malformed or out of place");
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        (void)snprintf(found, size, "a word without quotes");
    else if (c > ' ' && c <= '~')
        (void)snprintf(found, size, "the character '%c'", c);
    else
        (void)snprintf(found, size, "the byte 0x%02x", c);
}

/* jansson has one code for everything that is bad inside of a string, and a sentence for each. */
static const char *describe_string_fault(const json_error_t *error)
{
    static const struct {
        const char *prefix;
        const char *found;
    } faults[] = {
        {"unexpected newline", "a line break in a string"},
        {"control character", "a control character in a string"},
        {"invalid escape", "an invalid escape in a string"},
        {"invalid Unicode", "an escape that is no Unicode character"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
        if (has_prefix(error->text, faults[i].prefix))
            return faults[i].found;
    return NULL;
}

static const char *describe_code(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        return "the end of the text";
    case json_error_invalid_utf8:
        return "bytes that are not UTF-8 text";
    case json_error_end_of_input_expected:
        return "more text after the end";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a NUL character";
    case json_error_duplicate_key:
        return "a duplicate key";
    case json_error_numeric_overflow:
        return "a number that is too big";
    default:
        return describe_string_fault(error);
    }
}

static int refuse(struct scanner *s, const char *found, struct json_text_error *ret_error)
{
    struct json_text_error error = {};

    write_path(s, error.path, sizeof(error.path));
    write_position(s->text, MIN_OF(s->token, s->size), &error);
    if (found)
        (void)snprintf(error.found, sizeof(error.found), "%s", found);
    else
        describe_token(s, error.found, sizeof(error.found));
    *ret_error = error;
    return -EINVAL;
}

static int check_nesting(const char *text, size_t size, unsigned max_nesting,
                         struct json_text_error *ret_error)
{
    struct scanner s = {.text = text, .size = size, .max_nesting = max_nesting};
    char found[64];
    int r;

    do
        r = scan_next(&s);
    while (r > 0);
    if (r == 0)
        return 0;
    (void)snprintf(found, sizeof(found), "nesting deeper than %u", max_nesting);
    return refuse(&s, found, ret_error);
}

int json_text_parse(const char *text, size_t size, unsigned max_nesting, json_t **ret,
                    struct json_text_error *ret_error)
{
    unsigned nesting = MIN_OF(max_nesting, (unsigned)JSON_TEXT_NESTING_MAX);
    struct scanner s = {.text = text, .size = size, .max_nesting = nesting};
    json_error_t error = {};

    const char *nul = size > 0 ? memchr(text, '\0', size) : NULL;
    if (nul) {
        s.size = (size_t)(nul - text);
        while (scan_next(&s) > 0)
            ;
        return refuse(&s, "a NUL character", ret_error);
    }

    int r = check_nesting(text, size, nesting, ret_error);
    if (r < 0)
        return r;

    /* jansson takes no NULL, not even with a size of 0. */
    json_t *json =
        json_loadb(size > 0 ? text : "", size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (json) {
        *ret = json;
        return 0;
    }
    if (json_error_code(&error) == json_error_out_of_memory)
        return -ENOMEM;
    if (json_error_code(&error) == json_error_premature_end_of_input)
        while (scan_next(&s) > 0)
            ;
    else if (error.position > 0)
        scan_until(&s, MIN_OF((size_t)error.position, size));
    return refuse(&s, describe_code(&error), ret_error);
}

/* How much of `path` another one is the beginning of, component by component; 0: of none. */
static size_t common_path(const char *path, const char *beginning)
{
    size_t length = strlen(beginning);

    return has_prefix(path, beginning) && (!path[length] || strchr(".[", path[length])) ? length
                                                                                        : 0;
}

void json_text_locate(const char *text, size_t size, const char *path, int *ret_line,
                      int *ret_column)
{
    struct scanner s = {.text = text, .size = size, .max_nesting = JSON_TEXT_NESTING_MAX};
    struct json_text_error here = {};
    size_t best = 0, best_token = SIZE_MAX;

    while (scan_next(&s) > 0 && path[best]) {
        if (best_token == SIZE_MAX)
            best_token = s.token;
        if (strchr("[,]}", s.text[s.token])) /* the path is that of what is behind it */
            continue;
        write_path(&s, here.path, sizeof(here.path));
        size_t length = common_path(path, here.path);
        if (length > best) {
            best = length;
            best_token = s.token;
        }
    }
    write_position(text, MIN_OF(best_token, size), &here);
    *ret_line = here.line;
    *ret_column = here.column;
}

json_t *json_string_lossy(const char *text)
{
    json_t *string = json_string(text);

    if (string)
        return string;
    AUTO_FREE char *copy = strdup(text);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return copy ? json_string(copy) : NULL;
}
