/* Parameters of a method: types, required ones, null, unknown ones. */
#include "unit-test.h"

#include <errno.h>
#include <jansson.h>

#include "server/parameters.h"
#include "util.h"

struct values {
    const char *id;
    bool follow;
    json_int_t lines;
    json_t *card, *arguments, *groups;
};

static int read_text(const char *text, struct values *v, const char **bad)
{
    const struct parameter table[] = {
        {"id", PARAMETER_STRING, true, &v->id},
        {"follow", PARAMETER_BOOLEAN, false, &v->follow},
        {"lines", PARAMETER_INTEGER, false, &v->lines},
        {"card", PARAMETER_OBJECT, false, &v->card},
        {"arguments", PARAMETER_STRINGS, false, &v->arguments},
        {"groups", PARAMETER_INTEGERS, false, &v->groups},
    };
    json_t *json = text ? json_loads(text, 0, NULL) : NULL;
    int r = parameters_read(json, table, ARRAY_SIZE(table), bad);

    if (r < 0) { /* *bad may point into the JSON */
        static char name[64];
        (void)strncpy(name, *bad, sizeof(name) - 1);
        *bad = name;
    }
    if (v->id)
        v->id = "(read)";
    json_decref(json);
    return r;
}

static void accepts(void **state)
{
    static const char *const good[] = {
        "{\"id\": \"a\"}",
        "{\"id\": \"a\", \"follow\": null, \"lines\": null, \"card\": null, \"arguments\": null}",
        "{\"id\": \"a\", \"card\": {}, \"arguments\": []}",
        "{\"id\": \"a\", \"arguments\": [\"x\", \"y\"]}",
        "{\"id\": \"a\", \"groups\": []}",
        "{\"id\": \"a\", \"groups\": [0, 4294967294]}",
    };
    struct values v = {.lines = -1};
    const char *bad;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(read_text(good[i], &v, &bad), 0);
    assert_int_equal(v.lines, -1);
    assert_int_equal(read_text("{\"id\": \"a\", \"follow\": true, \"lines\": 7}", &v, &bad), 0);
    assert_true(v.follow);
    assert_int_equal(v.lines, 7);
    assert_string_equal(v.id, "(read)");
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *bad;
    } cases[] = {
        {NULL, "id"},
        {"{}", "id"},
        {"{\"id\": null}", "id"},
        {"{\"id\": 3}", "id"},
        {"{\"id\": \"a\", \"follow\": 1}", "follow"},
        {"{\"id\": \"a\", \"lines\": \"3\"}", "lines"},
        {"{\"id\": \"a\", \"lines\": -1}", "lines"},
        {"{\"id\": \"a\", \"lines\": 1.5}", "lines"},
        {"{\"id\": \"a\", \"card\": []}", "card"},
        {"{\"id\": \"a\", \"arguments\": {}}", "arguments"},
        {"{\"id\": \"a\", \"arguments\": [\"x\", 1]}", "arguments"},
        {"{\"id\": \"a\", \"groups\": 7}", "groups"},
        {"{\"id\": \"a\", \"groups\": [\"7\"]}", "groups"},
        {"{\"id\": \"a\", \"groups\": [7, -1]}", "groups"},
        {"{\"id\": \"a\", \"groups\": [4294967295]}", "groups"}, /* (gid_t)-1 is nobody's */
        {"{\"id\": \"a\", \"groups\": [1.5]}", "groups"},
        {"{\"id\": \"a\", \"fallow\": true}", "fallow"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct values v = {};
        const char *bad = NULL;
        assert_int_equal(read_text(cases[i].text, &v, &bad), -EINVAL);
        assert_string_equal(bad, cases[i].bad);
    }
}

static void borrows_strings(void **state)
{
    json_t *json = json_pack("[s, s]", "x", "y");
    struct string_list list = {};

    assert_int_equal(parameters_borrow_strings(json, &list), 0);
    assert_int_equal(list.count, 2);
    assert_ptr_equal(list.items[0], json_string_value(json_array_get(json, 0)));
    assert_ptr_equal(list.items[1], json_string_value(json_array_get(json, 1)));
    free(list.items);
    json_decref(json);
    assert_int_equal(parameters_borrow_strings(NULL, &list), 0);
    assert_int_equal(list.count, 0);
    free(list.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(borrows_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
