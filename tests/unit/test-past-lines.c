/* Lines of the past: what journalctl prints becomes a line or is refused, and of lines that come
 * from two sides each is shown once, and none is missed in silence. */
#include "unit-test.h"

#include <stdio.h>
#include <string.h>

#include "../../client/agent-line.h"
#include "../../client/sequel.h"

#define RUN "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"
#define HEAD                                                                                       \
    "{\"__CURSOR\":\"s=1\",\"CAGED_INVOCATION_ID\":\"" RUN "\",\"CAGED_TIME_USEC\":\"17\","        \
    "\"CAGED_STREAM\":\"stderr\",\"CAGED_SEQUENCE\":\"42\""

static int parse(const char *text, struct agent_line *ret)
{
    return agent_line_from_journal(text, strlen(text), ret);
}

static void test_an_entry_becomes_a_line(void **state)
{
    struct agent_line line;

    assert_int_equal(parse(HEAD ",\"MESSAGE\":\"h\\u00e9\"}", &line), 0);
    assert_string_equal(line.invocation_id, RUN);
    assert_int_equal(line.sequence, 42);
    assert_int_equal(line.time_usec, 17);
    assert_true(line.is_stderr);
    assert_false(line.partial);
    assert_int_equal(line.size, 3);
    assert_memory_equal(line.bytes, "h\xc3\xa9", 3);
    agent_line_deinit(&line);
}

static void test_bytes_that_are_no_text_come_as_numbers(void **state)
{
    struct agent_line line;

    assert_int_equal(parse(HEAD ",\"MESSAGE\":[255,0,10,27],\"CAGED_PARTIAL\":\"1\"}", &line), 0);
    assert_int_equal(line.size, 4);
    assert_memory_equal(line.bytes, "\xff\0\n\x1b", 4);
    assert_true(line.partial);
    agent_line_deinit(&line);
    assert_int_equal(parse(HEAD ",\"MESSAGE\":\"\"}", &line), 0);
    assert_int_equal(line.size, 0);
    agent_line_deinit(&line);
}

static void test_what_is_no_line_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        HEAD "}",                  /* no message */
        HEAD ",\"MESSAGE\":null}", /* left out for its size */
        HEAD ",\"MESSAGE\":7}",
        HEAD ",\"MESSAGE\":[256]}",
        HEAD ",\"MESSAGE\":[-1]}",
        HEAD ",\"MESSAGE\":[1.5]}",
        HEAD ",\"MESSAGE\":[\"one\",\"two\"]}", /* the field twice */
        HEAD ",\"MESSAGE\":[[104],[105]]}",
        HEAD ",\"MESSAGE\":\"a\",\"MESSAGE\":\"b\"}",
        HEAD ",\"MESSAGE\":\"a\"} {}",
        HEAD ",\"MESSAGE\":\"a\",\"CAGED_PARTIAL\":\"2\"}",
        HEAD ",\"MESSAGE\":\"a\",\"CAGED_PARTIAL\":[\"1\",\"1\"]}",
        "{\"CAGED_INVOCATION_ID\":\"" RUN
        "\",\"CAGED_TIME_USEC\":\"1\",\"CAGED_STREAM\":\"stdout\","
        "\"MESSAGE\":\"no sequence\"}",
        "{\"CAGED_INVOCATION_ID\":\"short\",\"CAGED_TIME_USEC\":\"1\",\"CAGED_STREAM\":\"stdout\","
        "\"CAGED_SEQUENCE\":\"1\",\"MESSAGE\":\"a\"}",
        "{\"CAGED_INVOCATION_ID\":\"" RUN
        "\",\"CAGED_TIME_USEC\":\"1\",\"CAGED_STREAM\":\"stdlog\","
        "\"CAGED_SEQUENCE\":\"1\",\"MESSAGE\":\"a\"}",
        "{\"CAGED_INVOCATION_ID\":\"" RUN
        "\",\"CAGED_TIME_USEC\":\"1\",\"CAGED_STREAM\":\"stdout\","
        "\"CAGED_SEQUENCE\":\"0\",\"MESSAGE\":\"a\"}",
        "{\"CAGED_INVOCATION_ID\":\"" RUN
        "\",\"CAGED_TIME_USEC\":\"1\",\"CAGED_STREAM\":\"stdout\","
        "\"CAGED_SEQUENCE\":\"-1\",\"MESSAGE\":\"a\"}",
        "{\"CAGED_INVOCATION_ID\":\"" RUN
        "\",\"CAGED_TIME_USEC\":\"1\",\"CAGED_STREAM\":\"stdout\","
        "\"CAGED_SEQUENCE\":\"99999999999999999999\",\"MESSAGE\":\"a\"}",
        "{\"CAGED_INVOCATION_ID\":\"" RUN "\",\"CAGED_TIME_USEC\":1,\"CAGED_STREAM\":\"stdout\","
        "\"CAGED_SEQUENCE\":\"1\",\"MESSAGE\":\"a\"}",
    };
    struct agent_line line = {.sequence = 7};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (parse(bad[i], &line) != -EPROTO)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(line.sequence, 7);
    }
}

static void test_a_line_is_the_same_from_both_sides(void **state)
{
    static const char *const messages[] = {"\"plain\"", "\"\"", "[120,0,255]"};
    char text[512];

    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        struct agent_line from_journal, from_daemon;
        (void)snprintf(text, sizeof(text), HEAD ",\"MESSAGE\":%s,\"CAGED_PARTIAL\":\"1\"}",
                       messages[i]);
        assert_int_equal(parse(text, &from_journal), 0);
        json_t *json = agent_line_to_json(&from_journal);
        assert_non_null(json);
        assert_int_equal(agent_line_from_json(json, RUN, &from_daemon), 0);
        assert_int_equal(from_daemon.sequence, 42);
        assert_int_equal(from_daemon.time_usec, 17);
        assert_true(from_daemon.is_stderr && from_daemon.partial);
        assert_int_equal(from_daemon.size, from_journal.size);
        assert_memory_equal(from_daemon.bytes, from_journal.bytes, from_journal.size);
        agent_line_deinit(&from_journal);
        agent_line_deinit(&from_daemon);
        json_decref(json);
    }
}

static void test_lines_have_their_place_by_run_and_sequence(void **state)
{
    CLEANUP(sequel_deinit) struct sequel sequel = {};

    assert_int_equal(sequel_next(&sequel, RUN), 0);
    assert_int_equal(sequel_place(&sequel, RUN, 500), SEQUEL_NEXT); /* the first of its run */
    assert_int_equal(sequel_set(&sequel, RUN, 501), 0);
    assert_int_equal(sequel_place(&sequel, RUN, 500), SEQUEL_SEEN);
    assert_int_equal(sequel_place(&sequel, RUN, 501), SEQUEL_NEXT);
    assert_int_equal(sequel_place(&sequel, RUN, 503), SEQUEL_GAP);
    assert_int_equal(sequel_place(&sequel, OTHER, 1), SEQUEL_NEXT);
    assert_int_equal(sequel_set(&sequel, OTHER, 2), 0);
    assert_int_equal(sequel_next(&sequel, RUN), 501);
    assert_int_equal(sequel_next(&sequel, OTHER), 2);
    for (int i = 0; i < 1000; i++) {
        char run[INVOCATION_ID_LENGTH + 1];
        (void)snprintf(run, sizeof(run), "%032x", i);
        assert_int_equal(sequel_set(&sequel, run, (uint64_t)i + 1), 0);
    }
    assert_int_equal(sequel_next(&sequel, "00000000000000000000000000000063"), 100);
    assert_int_equal(sequel_next(&sequel, RUN), 501);
}

static void test_where_a_reply_begins(void **state)
{
    static const struct {
        uint64_t next, lost, lines, first;
        int result;
        uint64_t start;
    } cases[] = {
        {1, 0, 0, 0, 0, 1},   /* nothing yet */
        {11, 0, 10, 1, 0, 1}, /* all of it */
        {11, 4, 6, 5, 0, 1},  /* the first four are lost */
        {11, 10, 0, 0, 0, 1}, /* all lost */
        {11, 1, 5, 5, 0, 5},  /* one is lost in between: 5 to 10 */
        {11, 0, 5, 5, 0, 5},  /* one was not told of */
        {0, 0, 0, 0, -EPROTO, 0},  {11, 11, 0, 0, -EPROTO, 0},
        {11, 5, 6, 1, -EPROTO, 0}, {11, UINT64_MAX, 6, 1, -EPROTO, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t start = 0;
        int r = sequel_reply_start(cases[i].next, cases[i].lost, cases[i].lines, cases[i].first,
                                   &start);
        assert_int_equal(r, cases[i].result);
        assert_int_equal(start, cases[i].start);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_becomes_a_line),
        cmocka_unit_test(test_bytes_that_are_no_text_come_as_numbers),
        cmocka_unit_test(test_what_is_no_line_is_refused),
        cmocka_unit_test(test_a_line_is_the_same_from_both_sides),
        cmocka_unit_test(test_lines_have_their_place_by_run_and_sequence),
        cmocka_unit_test(test_where_a_reply_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
