/* Strict JSON text: what is refused, at which JSON path, line and column, and that no value of the
 * text gets into an error. */
#include "unit-test.h"

#include <stdio.h>

#include "json-text.h"
#include "util.h"

#define NESTING 4

struct refusal {
    const char *text;
    size_t size;
    const char *path;
    const char *found;
    int line;
    int column;
};

#define REFUSAL(text, path, found, line, column)                                                   \
    {                                                                                              \
        text, sizeof(text) - 1, path, found, line, column                                          \
    }

static void check_refusal(const struct refusal *row)
{
    struct json_text_error error;
    json_t *json = (json_t *)(void *)row; /* untouched on failure */

    /* A copy of just this size, so that a sanitizer sees a read beyond the end. */
    AUTO_FREE char *text = malloc(row->size + 1);
    assert_non_null(text);
    memcpy(text, row->text, row->size);
    text = realloc(text, row->size > 0 ? row->size : 1);
    assert_non_null(text);

    assert_int_equal(json_text_parse(text, row->size, NESTING, &json, &error), -EINVAL);
    assert_ptr_equal(json, row);
    assert_string_equal(error.path, row->path);
    assert_string_equal(error.found, row->found);
    assert_int_equal(error.line, row->line);
    assert_int_equal(error.column, row->column);
}

static void check_refusals(const struct refusal *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_refusal(&rows[i]);
}

static void test_ends(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("", "$", "the end of the text", 1, 1),
        REFUSAL(" \n ", "$", "the end of the text", 2, 2),
        REFUSAL("{", "$", "the end of the text", 1, 2),
        REFUSAL("{\"a\"", "$.a", "the end of the text", 1, 5),
        REFUSAL("{\"a\":", "$.a", "the end of the text", 1, 6),
        REFUSAL("{\"a\":1,", "$", "the end of the text", 1, 8),
        REFUSAL("[1,", "$[1]", "the end of the text", 1, 4),
        REFUSAL("{\"a\":\"abc", "$.a", "the end of the text", 1, 10),
        REFUSAL("{\"a\":\"abc\\", "$.a", "an invalid escape in a string", 1, 6),
        REFUSAL("{} {}", "$", "more text after the end", 1, 4),
        REFUSAL("{}x", "$", "more text after the end", 1, 3),
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_duplicates(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("{\"a\":1,\n \"a\":2}", "$.a", "a duplicate key", 2, 2),
        REFUSAL("{\"a\":1,\"\\u0061\":2}", "$[\"\\u0061\"]", "a duplicate key", 1, 8),
        REFUSAL("{\"a\":[0,{\"b\":2,\"b\":[]}]}", "$.a[1].b", "a duplicate key", 1, 16),
        REFUSAL("{\"a b\":1,\"a b\":2}", "$[\"a b\"]", "a duplicate key", 1, 10),
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_nul(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("\0", "$", "a NUL character", 1, 1),
        REFUSAL("{}\0", "$", "a NUL character", 1, 3),
        REFUSAL("{\"a\":\"x\0y\"}", "$.a", "a NUL character", 1, 8),
        REFUSAL("{\"a\":\"x\\u0000y\"}", "$.a", "a NUL character", 1, 6),
        REFUSAL("{\"a\\u0000b\":1}", "$[\"a\\u0000b\"]", "a NUL character", 1, 2),
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_nesting(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("[[[[[", "$[0][0][0][0]", "nesting deeper than 4", 1, 5),
        REFUSAL("{\"a\":[1,[[{}]]]}", "$.a[1][0][0]", "nesting deeper than 4", 1, 11),
        REFUSAL("[[],[],[[[{\"x\":1}]]]]", "$[2][0][0][0]", "nesting deeper than 4", 1, 11),
    };
    struct json_text_error error;
    json_t *json = NULL;

    check_refusals(rows, ARRAY_SIZE(rows));
    assert_int_equal(json_text_parse("[[[[]],[[\"[[[[\"]]]]", 19, 4, &json, &error), 0);
    json_decref(json);
    /* A greater limit than there is room for is that room. */
    char deep[JSON_TEXT_NESTING_MAX + 1];
    memset(deep, '[', sizeof(deep));
    assert_int_equal(json_text_parse(deep, sizeof(deep), 1000, &json, &error), -EINVAL);
    assert_string_equal(error.found, "nesting deeper than 64");
}

static void test_strings(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("{\"a\":\"\xff\"}", "$.a", "bytes that are not UTF-8 text", 1, 6),
        REFUSAL("{\"a\":\"\xed\xa0\x80\"}", "$.a", "bytes that are not UTF-8 text", 1, 6),
        REFUSAL("{\"a\":\"\\x\"}", "$.a", "an invalid escape in a string", 1, 6),
        REFUSAL("[\"\\u12\"]", "$[0]", "an invalid escape in a string", 1, 2),
        REFUSAL("[0,\"\\ud800\"]", "$[1]", "an escape that is no Unicode character", 1, 4),
        REFUSAL("{\"a\":\"x\ny\"}", "$.a", "a line break in a string", 1, 6),
        REFUSAL("{\"a\":\"x\ty\"}", "$.a", "a control character in a string", 1, 6),
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_tokens(void **state)
{
    static const struct refusal rows[] = {
        REFUSAL("{\"a\":01}", "$.a", "a number that is malformed or out of place", 1, 6),
        REFUSAL("{\"a\":-}", "$.a", "a number that is malformed or out of place", 1, 6),
        REFUSAL("{\"a\":99999999999999999999}", "$.a", "a number that is too big", 1, 6),
        REFUSAL("{\"a\":1e999}", "$.a", "a number that is too big", 1, 6),
        REFUSAL("{\"a\":NaN}", "$.a", "a word without quotes", 1, 6),
        REFUSAL("{\"a\":sk-secret}", "$.a", "a word without quotes", 1, 6),
        REFUSAL("{a:1}", "$", "a word without quotes", 1, 2),
        REFUSAL("{\"a\":'x'}", "$.a", "the character '''", 1, 6),
        REFUSAL("{\"a\":1,}", "$", "the character '}'", 1, 8),
        REFUSAL("[1,2,]", "$[2]", "the character ']'", 1, 6),
        REFUSAL("[1,{\"b\":[0,]}]", "$[1].b[1]", "the character ']'", 1, 12),
        REFUSAL("[1}", "$[0]", "the character '}'", 1, 3),
        REFUSAL("[\"a\" \"b\"]", "$[0]", "a string out of place", 1, 6),
        REFUSAL("// x\n{}", "$", "the character '/'", 1, 1),
        REFUSAL("\xef\xbb\xbf{}", "$", "the byte 0xef", 1, 1),
        /* columns count characters, not bytes */
        REFUSAL("{\"a\":\"\xc3\xa9\",\n \"\xc3\xa9\":?}", "$[\"??\"]", "the character '?'", 2, 6),
    };
    check_refusals(rows, ARRAY_SIZE(rows));
}

static void test_any_value_is_taken(void **state)
{
    static const char *const texts[] = {"{}",    "[]",   "5",
                                        "\"x\"", "null", " {\"\": [1.5, true]} \n"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct json_text_error error;
        json_t *json = NULL;
        assert_int_equal(json_text_parse(texts[i], strlen(texts[i]), NESTING, &json, &error), 0);
        assert_non_null(json);
        json_decref(json);
    }
}

static void test_paths(void **state)
{
    char path[64] = "$", tiny[8] = "$";

    json_path_append_key(path, sizeof(path), "plain_Key-1", 11);
    json_path_append_index(path, sizeof(path), 12);
    json_path_append_key(path, sizeof(path), "1st", 3);
    json_path_append_key(path, sizeof(path), "", 0);
    json_path_append_key(path, sizeof(path), "a\x1b\n\xff", 4);
    assert_string_equal(path, "$.plain_Key-1[12][\"1st\"][\"\"][\"a???\"]");
    for (int i = 0; i < 9; i++)
        json_path_append_key(tiny, sizeof(tiny), "key", 3);
    assert_string_equal(tiny, "$.key.k");

    char long_key[200], long_path[256] = "$";
    memset(long_key, 'k', sizeof(long_key));
    json_path_append_key(long_path, sizeof(long_path), long_key, sizeof(long_key));
    assert_int_equal(strlen(long_path), 2 + 64 + 3);
    assert_string_equal(long_path + strlen(long_path) - 4, "k...");
}

/* Whatever the text, a path that is longer than its buffer is cut and ended. */
static void test_long_paths_are_cut(void **state)
{
    char text[8192] = "";
    struct json_text_error error;
    json_t *json = NULL;

    for (int i = 0; i < 15; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "{\"key-%050d\":", i);
    }
    assert_int_equal(json_text_parse(text, strlen(text), 16, &json, &error), -EINVAL);
    assert_int_equal(strlen(error.path), sizeof(error.path) - 1);
    assert_string_equal(error.found, "the end of the text");
}

static void test_lossy_strings(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"plain \xc3\xa4 \xe2\x82\xac", "plain \xc3\xa4 \xe2\x82\xac"},
        {"cut \xc3\xa4 \xe2\x82", "cut ?? ??"},
        {"\xff/x", "?/x"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        json_t *string = json_string_lossy(rows[i][0]);
        assert_non_null(string);
        assert_string_equal(json_string_value(string), rows[i][1]);
        json_decref(string);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_any_value_is_taken),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_long_paths_are_cut),
        cmocka_unit_test(test_lossy_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
