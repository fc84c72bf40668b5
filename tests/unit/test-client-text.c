/* What cagectl lets through to a terminal (client/terminal-filter.c, client/text.c), and what the
 * end of an agent becomes (client/agent.c). */
#include "unit-test.h"

#include <stdio.h>

#include "client/agent.h"
#include "client/terminal-filter.h"
#include "client/text.h"

/* Filters `text` in pieces of `step` bytes and compares. */
static void expect_filtered(const char *text, size_t step, const char *expected)
{
    struct terminal_filter filter = {};
    char out[1024];
    size_t size = 0, length = strlen(text);

    for (size_t i = 0; i < length; i += step)
        size += terminal_filter_apply(&filter, text + i, MIN_OF(step, length - i), out + size);
    size += terminal_filter_finish(&filter, out + size);
    out[size] = 0;
    assert_string_equal(out, expected);
}

static void test_filter(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"plain\ttext\r\n", "plain\ttext\r\n"},
        {"\xc3\xa9\xe2\x82\xac\xc2\xa0", "\xc3\xa9\xe2\x82\xac\xc2\xa0"},
        {"\x1b[1;31mred\x1b[m", "\x1b[1;31mred\x1b[m"},
        {"\x1b[38:2:1:2:3mx", "\x1b[38:2:1:2:3mx"},
        {"\x1b[2J", "^[[2J"},
        {"\x1b]52;c;aGk=\a", "^[]52;c;aGk=^G"},
        {"\x1b[?1049h", "^[[?1049h"},
        {"\x1b[>4;1m", "^[[>4;1m"},
        {"\x1b[6n", "^[[6n"},
        {"\x1b\x1b[0m", "^[\x1b[0m"},
        {"\x1b[3\x1b[0m", "^[[3\x1b[0m"},
        {"\x1b", "^["},
        {"\x1b[1", "^[[1"},
        {"a\bb\x7f", "a^Hb^?"},
        {"\xc2\x9b"
         "2J",
         "\\xc2\\x9b2J"},
        {"\xc2x", "\\xc2x"},
        {"\xc2", "\\xc2"},
        /* One digit more than is held back. */
        {"\x1b[000000000000000000000000000000m", "\x1b[000000000000000000000000000000m"},
        {"\x1b[0000000000000000000000000000000m", "^[[0000000000000000000000000000000m"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t step = 1; step < 6; step++)
            expect_filtered(rows[i].text, step, rows[i].expected);
}

static void test_filter_room(void **state)
{
    struct terminal_filter filter = {};
    char in[64], out[TERMINAL_FILTER_ROOM(sizeof(in))];

    memset(in, '\x9b', sizeof(in));
    for (size_t i = 0; i < sizeof(in); i += 2)
        in[i] = '\xc2';
    assert_int_equal(terminal_filter_apply(&filter, in, sizeof(in), out), 4 * sizeof(in));
    assert_in_range(4 * sizeof(in), 0, sizeof(out));
}

static void test_safe_text(void **state)
{
    char out[64];

    text_make_safe("a\x1b[2J\xc2\x9b\xe2\x80\xae\xc3\xa9", out, sizeof(out));
    assert_string_equal(out, "a\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae\xc3\xa9");
    text_make_safe("abc\n", out, 7);
    assert_string_equal(out, "abc");
    text_make_safe("abcdefgh", out, 4);
    assert_string_equal(out, "abc");
}

static void test_durations(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {{0, "0s"}, {59, "59s"}, {61, "1m 1s"}, {7200, "2h 0m"}, {90000, "1d 1h"}};
    char text[64];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        duration_format(rows[i].seconds, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

static void test_targets(void **state)
{
    static const struct {
        const char *host;
        uint64_t port, count;
        const char *text;
    } rows[] = {
        {"api.example", 443, 1, "api.example:443"},
        {"192.0.2.1", 80, 7, "192.0.2.1:80"},
        {"2001:db8::1", 22, 1, "[2001:db8::1]:22"},
        {"", 0, 1, "-"},
        {"", 0, 2, "(several)"},
    };
    char text[64];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        target_format(rows[i].host, rows[i].port, rows[i].count, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
    target_format("api.example", 443, 1, text, 8);
    assert_string_equal(text, "api.exa");
}

static void test_exit_statuses(void **state)
{
    static const struct {
        const char *reason;
        uint64_t exit_status;
        uint64_t signal;
        int status;
        const char *text;
    } rows[] = {
        {"exited", 0, AGENT_NONE, 0, "exit status 0"},
        {"exited", 3, AGENT_NONE, 3, "exit status 3"},
        {"signaled", AGENT_NONE, 11, 139, "a signal, SIGSEGV"},
        {"out_of_memory", AGENT_NONE, 9, 137, "out of memory, SIGKILL"},
        {"out_of_memory", 0, AGENT_NONE, 137, "out of memory, exit status 0"},
        {"out_of_memory", 1, AGENT_NONE, 1, "out of memory, exit status 1"},
        {"ttl", 0, AGENT_NONE, 124, "its time to live was over, exit status 0"},
        {"ttl", AGENT_NONE, 15, 143, "its time to live was over, SIGTERM"},
        {"stopped", 0, AGENT_NONE, 0, "stopped, exit status 0"},
        {"stopped", AGENT_NONE, AGENT_NONE, 143, "stopped"},
        {"killed", AGENT_NONE, AGENT_NONE, 137, "killed"},
        {"client_gone", 0, AGENT_NONE, 129, "its client went away, exit status 0"},
        {"tasks_limit", 0, AGENT_NONE, 71, "its limit of tasks was reached, exit status 0"},
        {"failed", AGENT_NONE, AGENT_NONE, 71, "the cage failed"},
        {"shutdown", AGENT_NONE, AGENT_NONE, 143, "the daemon was shut down"},
        {"new_reason", 0, AGENT_NONE, 71, "new_reason, exit status 0"},
        {NULL, AGENT_NONE, AGENT_NONE, 71, "unknown reason"},
    };
    char text[256];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct agent agent = {.id = "a",
                              .state = "ended",
                              .reason = rows[i].reason,
                              .exit_status = rows[i].exit_status,
                              .signal = rows[i].signal};
        assert_int_equal(agent_exit_status(&agent), rows[i].status);
        agent_end_format(&agent, NULL, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
}

/* To a unit, what was planned is no failure, and what was not is one. */
static void test_exit_status_for_a_unit(void **state)
{
    static const struct {
        const char *reason;
        uint64_t exit_status, signal;
        int status;
    } rows[] = {
        {"exited", 0, AGENT_NONE, 0},
        {"exited", 3, AGENT_NONE, 3},
        {"exited", 124, AGENT_NONE, 124},
        {"signaled", AGENT_NONE, 9, 137},
        {"signaled", AGENT_NONE, 15, 143},
        {"ttl", AGENT_NONE, 15, 0},
        {"ttl", 7, AGENT_NONE, 0},
        {"ttl", AGENT_NONE, AGENT_NONE, 0},
        {"stopped", AGENT_NONE, 15, 0},
        {"stopped", 7, AGENT_NONE, 0},
        {"killed", AGENT_NONE, 9, 137},
        {"killed", 0, AGENT_NONE, 137},
        {"out_of_memory", AGENT_NONE, 9, 137},
        {"tasks_limit", 3, AGENT_NONE, 3},
        {"client_gone", 0, AGENT_NONE, 129},
        {"failed", AGENT_NONE, AGENT_NONE, 71},
        {"shutdown", 0, AGENT_NONE, 143},
        {"something new", 0, AGENT_NONE, 71},
        {NULL, AGENT_NONE, AGENT_NONE, 71},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct agent agent = {
            .reason = rows[i].reason, .exit_status = rows[i].exit_status, .signal = rows[i].signal};
        assert_int_equal(agent_unit_status(&agent), rows[i].status);
    }
}

static void test_limits_in_the_end(void **state)
{
    struct card card = {.limits = {.memory_mb = 512, .max_processes = 40}, .ttl_seconds = 9};
    struct agent agent = {.reason = "out_of_memory",
                          .exit_status = AGENT_NONE,
                          .signal = 9,
                          .detail = "python3 was killed"};
    char text[256];

    agent_end_format(&agent, &card, text, sizeof(text));
    assert_string_equal(text, "out of memory (limit 512 MiB), SIGKILL: python3 was killed");
    agent.unit = "caged-agent@a.service";
    agent.detail = NULL;
    agent_end_format(&agent, &card, text, sizeof(text));
    assert_string_equal(text, "out of memory (limit 512 MiB, or the unit's own), SIGKILL");
    agent.reason = "tasks_limit";
    agent_end_format(&agent, &card, text, sizeof(text));
    assert_string_equal(text,
                        "its limit of tasks was reached (limit 40, or the unit's own), SIGKILL");
}

static void test_agents_of_wrong_types(void **state)
{
    static const char good[] = "{\"agent_id\":\"a\",\"owner_uid\":1,\"agent\":\"opencode\","
                               "\"workspace\":\"/w\",\"state\":\"ended\",\"spawned_usec\":5}";
    static const char *const bad[][2] = {
        {"agent_id", "1"},     {"owner_uid", "\"1\""}, {"owner_uid", "-1"},
        {"workspace", "null"}, {"state", "[]"},        {"pid", "-5"},
        {"pid", "1.5"},        {"exit_status", "256"}, {"exit_status", "true"},
        {"signal", "0"},       {"signal", "128"},      {"reason", "{}"},
    };
    json_t *json = json_loads(good, 0, NULL);
    struct agent agent;

    assert_int_equal(agent_from_json(json, &agent), 0);
    assert_true(agent.exit_status == AGENT_NONE);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        json_t *copy = json_copy(json);
        json_object_set_new(copy, bad[i][0], json_loads(bad[i][1], JSON_DECODE_ANY, NULL));
        assert_int_equal(agent_from_json(copy, &agent), -EPROTO);
        json_decref(copy);
    }
    json_decref(json);
    assert_int_equal(agent_from_json(NULL, &agent), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_filter_room),
        cmocka_unit_test(test_safe_text),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_exit_statuses),
        cmocka_unit_test(test_exit_status_for_a_unit),
        cmocka_unit_test(test_limits_in_the_end),
        cmocka_unit_test(test_agents_of_wrong_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
