/* common/card-diff: what differs between two cards is named, each key by itself, and no value. */
#include "unit-test.h"

#include <stdio.h>

#include "common/card-diff.h"

static const char base[] =
    "{\"agent_id\": \"a\", \"workspace\": \"/w\", \"environment\": {\"CI\": \"one\", \"B\": \"b\"},"
    " \"proxy\": \"http://user:word@10.0.0.1:3128\", \"api_key_file\": \"/k\"}";

static struct card *parse(const char *text)
{
    struct card_error error;
    struct card *card = NULL;
    if (card_parse_text(text, strlen(text), &card, &error) < 0)
        fail_msg("%s: found %s, expected %s", error.path, error.found, error.expected);
    return card;
}

/* The base with some keys replaced or added (their JSON), or taken away (null). */
static struct card *changed(const char *changes)
{
    json_t *object = json_loads(base, 0, NULL), *other = json_loads(changes, 0, NULL), *value;
    const char *key;
    assert_non_null(other);
    json_object_foreach (other, key, value) {
        if (json_is_null(value))
            (void)json_object_del(object, key);
        else
            (void)json_object_set(object, key, value);
    }
    char *text = json_dumps(object, 0);
    struct card *card = parse(text);
    free(text);
    json_decref(other);
    json_decref(object);
    return card;
}

static void check(const char *changes, const char *paths)
{
    struct card *a = parse(base), *b = changed(changes);
    json_t *expected = json_loads(paths, 0, NULL);
    assert_non_null(expected);
    for (int i = 0; i < 2; i++) { /* either way round */
        json_t *found = i == 0 ? card_diff(a, b) : card_diff(b, a);
        char *text = json_dumps(found, 0);
        if (!json_equal(found, expected))
            fail_msg("%s: %s, not %s", changes, text, paths);
        assert_null(strstr(text, "word"));
        free(text);
        json_decref(found);
    }
    json_decref(expected);
    card_free(a);
    card_free(b);
}

static void test_what_differs_is_named(void **state)
{
    static const struct {
        const char *changes, *paths;
    } cases[] = {
        {"{}", "[]"},
        {"{\"ttl_seconds\": 0, \"api_provider\": \"anthropic\", \"allowed_hosts\":"
         " [\"api.anthropic.com:443\"]}",
         "[]"}, /* defaults, written down */
        {"{\"ttl_seconds\": 5}", "[\"$.ttl_seconds\"]"},
        {"{\"transparent\": true}", "[\"$.transparent\"]"},
        {"{\"transparent\": false}", "[]"},
        {"{\"seccomp_profile\": \"default\"}", "[]"},
        {"{\"seccomp_profile\": \"strict\"}", "[\"$.seccomp_profile\"]"},
        {"{\"agent_id\": \"b\"}", "[\"$.agent_id\"]"},
        {"{\"agent\": \"codex\"}", "[\"$.agent\"]"},
        {"{\"command\": [\"x\", \"y\"]}", "[\"$.command\"]"},
        {"{\"workspace\": \"/v\"}", "[\"$.workspace\"]"},
        {"{\"mounts\": []}", "[]"},
        {"{\"mounts\": [{\"source\": \"/s\", \"target\": \"/data\"}]}", "[\"$.mounts\"]"},
        {"{\"resource_limits\": {\"memory_mb\": 17, \"cpu_shares\": 3}}",
         "[\"$.resource_limits.memory_mb\", \"$.resource_limits.cpu_shares\"]"},
        {"{\"resource_limits\": {\"max_processes\": 7, \"max_open_files\": 77}}",
         "[\"$.resource_limits.max_processes\", \"$.resource_limits.max_open_files\"]"},
        {"{\"allowed_hosts\": [\"x.example\"], \"private_hosts\": [\"y.example\"]}",
         "[\"$.allowed_hosts\", \"$.private_hosts\"]"},
        {"{\"denied_hosts\": [\"x.example\"]}", "[\"$.denied_hosts\"]"},
        {"{\"environment\": {\"CI\": \"two\", \"B\": \"b\"}}", "[\"$.environment.CI\"]"},
        {"{\"environment\": {\"CI\": \"one\"}}", "[\"$.environment.B\"]"},
        {"{\"environment\": {\"B\": \"b\", \"CI\": \"one\"}}", "[]"}, /* the order means nothing */
        {"{\"environment\": {\"CI\": \"one\", \"B\": \"b\", \"C\": \"\"}}",
         "[\"$.environment.C\"]"},
        {"{\"api_key_file\": \"/l\"}", "[\"$.api_key_file\"]"},
        {"{\"api_key_file\": null}", "[\"$.api_key_file\"]"},
        {"{\"proxy\": \"http://user:wort@10.0.0.1:3128\"}", "[\"$.proxy\"]"},
        {"{\"proxy\": \"http://10.0.0.1:3128\"}", "[\"$.proxy\"]"},
        {"{\"proxy\": null}", "[\"$.proxy\"]"},
        {"{\"proxy\": \"http://10.0.0.1:3128\", \"proxy_auth_file\": \"/p\"}",
         "[\"$.proxy\", \"$.proxy_auth_file\"]"},
        {"{\"api_provider\": \"openai\", \"allowed_hosts\": [\"api.anthropic.com:443\"]}",
         "[\"$.api_provider\"]"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(cases[i].changes, cases[i].paths);
}

static void check_keys(const json_t *object, const char *prefix, const char *paths)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)object, key, value) {
        char path[128];
        (void)snprintf(path, sizeof(path), "\"%s.%s", prefix, key);
        if (!streq(key, "$schema") && !strstr(paths, path))
            fail_msg("%s is not among %s", path, paths);
    }
}

/* A key that the JSON form of a card leaves out would be changed without a word. */
static void test_every_key_of_a_card_is_compared(void **state)
{
    struct card *a = parse(base), *b = NULL;
    json_t *all = json_load_file(CARD_WITH_EVERYTHING, 0, NULL);
    struct card_error error;

    assert_non_null(all);
    if (card_parse(all, &b, &error) < 0)
        fail_msg("%s: found %s, expected %s", error.path, error.found, error.expected);
    json_t *paths = card_diff(a, b);
    char *text = json_dumps(paths, 0);
    check_keys(all, "$", text);
    check_keys(json_object_get(all, "resource_limits"), "$.resource_limits", text);
    free(text);
    json_decref(paths);
    json_decref(all);
    card_free(a);
    card_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_differs_is_named),
        cmocka_unit_test(test_every_key_of_a_card_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
