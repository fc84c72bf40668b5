/* Presets: what is read from a file, what is refused with which words, and that the presets that
 * ship are good ones. */
#include "unit-test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <jansson.h>

#include "agent/preset.h"
#include "fd-io.h"

static char data_dir[] = "/tmp/test-preset-XXXXXX";
static char agents_dir[64];

static void write_preset(const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/x.json", agents_dir);
    AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static int setup(void **state)
{
    if (!mkdtemp(data_dir))
        return -1;
    (void)snprintf(agents_dir, sizeof(agents_dir), "%s/agents", data_dir);
    return mkdir(agents_dir, 0755);
}

static int teardown(void **state)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/x.json", agents_dir);
    (void)unlink(path);
    return rmdir(agents_dir) < 0 || rmdir(data_dir) < 0;
}

static void test_whole(void **state)
{
    CLEANUP(preset_freep) struct preset *p = NULL;
    AUTO_FREE char *why = NULL;

    write_preset("{\"description\":\"d\",\"command\":[\"a\",\"\"],\"terminal_command\":[\"b\"],"
                 "\"api_key_variable\":\"K\",\"environment\":{\"A\":\"1\",\"B\":\"\"},\"files\":["
                 "{\"path\":\"~/.x/y\",\"owner\":\"agent\",\"text\":\"t\\n\"},"
                 "{\"path\":\"/etc/x\",\"owner\":\"root\",\"json\":{\"k\":[1]}},"
                 "{\"path\":\"/etc/y\",\"owner\":\"root\",\"text\":\"\"}]}");
    assert_int_equal(preset_load(data_dir, "x", &p, &why), 0);
    assert_null(why);
    assert_string_equal(p->name, "x");
    assert_int_equal(p->command.count, 2);
    assert_string_equal(p->command.items[0], "a");
    assert_string_equal(p->terminal_command.items[0], "b");
    assert_string_equal(p->api_key_variable, "K");
    assert_int_equal(p->n_environment, 2);
    assert_string_equal(p->environment[1].name, "B");
    assert_int_equal(p->n_files, 3);
    assert_string_equal(p->files[0].path, "/home/agent/.x/y");
    assert_true(p->files[0].agent_owned);
    assert_int_equal(p->files[0].size, 2);
    assert_memory_equal(p->files[0].content, "t\n", 2);
    assert_string_equal(p->files[1].path, "/etc/x");
    assert_false(p->files[1].agent_owned);
    assert_int_equal(p->files[2].size, 0);

    json_t *json = json_loadb(p->files[1].content, p->files[1].size, 0, NULL);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(json, "k"), 0)), 1);
    json_decref(json);
}

#define START "{\"description\":\"d\",\"command\":[\"a\"]"

static void test_refusals(void **state)
{
    static const struct {
        const char *text;
        const char *told;
    } rows[] = {
        {"", "found the end of the text"},
        {"{\"a\":1,\n\"a\":2}", "line 2: $.a: found a duplicate key"},
        {"[]", "$: "},
        {"{\"command\":[\"a\"]}", "description"},
        {"{\"description\":\"d\"}", "command"},
        {START ",\"comand\":[]}", "comand"},
        {"{\"description\":\"d\",\"command\":[]}", "$.command: expected an array"},
        {"{\"description\":\"d\",\"command\":\"a\"}", "$.command: expected an array"},
        {"{\"description\":\"d\",\"command\":[\"\"]}", "$.command[0]: expected a string"},
        {"{\"description\":\"d\",\"command\":[\"a\",1]}", "$.command[1]: expected a string"},
        {START ",\"terminal_command\":[]}", "$.terminal_command: expected an array"},
        {START ",\"environment\":[]}", "$.environment: expected an object"},
        {START ",\"environment\":{\"A\":1}}", "not \"A\""},
        {START ",\"environment\":{\"A=B\":\"\"}}", "not \"A=B\""},
        {START ",\"environment\":{\"\":\"\"}}", "not \"\""},
        {START ",\"api_key_variable\":\"\"}", "$.api_key_variable: expected the name"},
        {START ",\"api_key_variable\":\"A=B\"}", "$.api_key_variable: expected the name"},
        {START ",\"files\":{}}", "$.files: expected an array"},
        {START ",\"files\":[1]}", "$.files[0]: "},
        {START ",\"files\":[{\"path\":\"~/a\",\"owner\":\"root\"}]}",
         "either \"json\" or \"text\""},
        {START ",\"files\":[{\"path\":\"~/a\",\"owner\":\"root\",\"json\":1,\"text\":\"\"}]}",
         "either \"json\" or \"text\""},
        {START ",\"files\":[{\"path\":\"~/a\",\"owner\":\"me\",\"text\":\"\"}]}",
         "$.files[0].owner"},
        {START ",\"files\":[{\"path\":\"/usr/a\",\"owner\":\"root\",\"text\":\"\"}]}",
         "$.files[0].path"},
        {START ",\"files\":[{\"path\":\"~/../a\",\"owner\":\"root\",\"text\":\"\"}]}",
         "$.files[0].path"},
        {START ",\"files\":[{\"path\":\"/etc/\",\"owner\":\"root\",\"text\":\"\"}]}",
         "$.files[0].path"},
        {START ",\"files\":[{\"path\":\"\",\"owner\":\"root\",\"text\":\"\"}]}", "$.files[0].path"},
        {START ",\"files\":[{\"path\":\"~/a\",\"owner\":\"root\",\"text\":\"\",\"mode\":1}]}",
         "mode"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct preset *p = (struct preset *)(void *)data_dir; /* untouched on failure */
        AUTO_FREE char *why = NULL;

        write_preset(rows[i].text);
        assert_int_equal(preset_load(data_dir, "x", &p, &why), -EINVAL);
        assert_ptr_equal(p, data_dir);
        assert_non_null(why);
        assert_non_null(strstr(why, "/agents/x.json"));
        if (!strstr(why, rows[i].told))
            fail_msg("%s: \"%s\" is not in it", why, rows[i].told);
    }
}

static void test_unknown(void **state)
{
    struct preset *p = NULL;
    AUTO_FREE char *why = NULL;

    assert_int_equal(preset_load(data_dir, "none", &p, &why), -ENOENT);
    assert_null(p);
    assert_non_null(strstr(why, "/agents/none.json"));
}

static void test_the_shipped_presets(void **state)
{
    static const char *const names[] = {"opencode", "codex", "claude", "gemini", "qwen"};
    AUTO_FREE char *policy = strdup(__FILE__); /* this file's folder, and on from there */

    assert_non_null(policy);
    char *slash = strrchr(policy, '/');
    assert_non_null(slash);
    *slash = '\0';
    char shipped[4096];
    (void)snprintf(shipped, sizeof(shipped), "%s/../../policy", policy);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        CLEANUP(preset_freep) struct preset *p = NULL;
        AUTO_FREE char *why = NULL;

        if (preset_load(shipped, names[i], &p, &why) < 0)
            fail_msg("%s", why);
        assert_string_equal(p->command.items[0], names[i]);
        assert_string_equal(p->terminal_command.items[0], names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_the_shipped_presets),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
