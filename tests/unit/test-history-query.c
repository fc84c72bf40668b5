/* The words in which journalctl is asked for the past: which entries, by which sender, and which of
 * their fields; and which times may be among them. */
#include "unit-test.h"

#include <limits.h>
#include <stdio.h>

#include "caged-limits.h"
#include "log.h"
#include "server/history-query.h"
#include "util.h"

static const struct history_query everything = {.kind = HISTORY_OUTPUT, .owner = -1, .lines = -1};

static bool has(const struct history_arguments *arguments, const char *word)
{
    for (size_t i = 0; arguments->words[i]; i++)
        if (streq(arguments->words[i], word))
            return true;
    return false;
}

static bool has_any(const struct history_arguments *arguments, const char *prefix)
{
    for (size_t i = 0; arguments->words[i]; i++)
        if (has_prefix(arguments->words[i], prefix))
            return true;
    return false;
}

static void test_only_what_this_program_sent_as_root_is_asked_for(void **state)
{
    char path[PATH_MAX], match[PATH_MAX + 8];

    for (int kind = 0; kind < HISTORY_KIND_COUNT; kind++) {
        struct history_query query = everything;
        struct history_arguments arguments = {};
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

        query.kind = (enum history_kind)kind;
        assert_in_range(n, 1, sizeof(path) - 1);
        (void)snprintf(match, sizeof(match), "_EXE=%.*s", (int)n, path);
        assert_int_equal(history_arguments_init(&arguments, &query), 0);
        assert_string_equal(arguments.words[0], "journalctl");
        assert_true(has(&arguments, match));
        assert_true(has(&arguments, "_UID=0"));
        assert_true(has(&arguments, "_TRANSPORT=journal"));
        history_arguments_deinit(&arguments);
        assert_null(arguments.words[0]);
    }
}

static void test_each_kind_has_its_entries(void **state)
{
    static const struct {
        enum history_kind kind;
        const char *identifier;
        bool refused, allowed;
    } rows[] = {
        {HISTORY_OUTPUT, "SYSLOG_IDENTIFIER=caged-agent", false, false},
        {HISTORY_NETWORK, "SYSLOG_IDENTIFIER=cagedd", true, true},
        {HISTORY_REFUSED, "SYSLOG_IDENTIFIER=cagedd", true, false},
    };
    _Static_assert(ARRAY_SIZE(rows) == HISTORY_KIND_COUNT, "every kind has a row");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct history_query query = everything;
        struct history_arguments arguments = {};

        query.kind = rows[i].kind;
        assert_int_equal(history_arguments_init(&arguments, &query), 0);
        assert_true(has(&arguments, rows[i].identifier));
        assert_true(has_any(&arguments, "--output-fields="));
        assert_int_equal(has(&arguments, "MESSAGE_ID=" LOG_ID_NETWORK_REFUSED), rows[i].refused);
        assert_int_equal(has(&arguments, "MESSAGE_ID=" LOG_ID_NETWORK_ALLOWED), rows[i].allowed);
        history_arguments_deinit(&arguments);
    }
}

static void test_what_is_not_asked_for_is_no_bound(void **state)
{
    static const char *const bounds[] = {"CAGED_AGENT=", "CAGED_OWNER_UID=", "CAGED_INVOCATION_ID=",
                                         "--since=",     "--until=",         "--lines="};
    struct history_query query = everything;
    struct history_arguments arguments = {};

    assert_int_equal(history_arguments_init(&arguments, &query), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
        assert_false(has_any(&arguments, bounds[i]));
    history_arguments_deinit(&arguments);

    query = (struct history_query){.kind = HISTORY_NETWORK,
                                   .agent_id = "alpha",
                                   .owner = 1000,
                                   .invocation_id = "0123",
                                   .since = "-1h",
                                   .until = "now",
                                   .lines = 7};
    assert_int_equal(history_arguments_init(&arguments, &query), 0);
    assert_true(has(&arguments, "CAGED_AGENT=alpha"));
    assert_true(has(&arguments, "CAGED_OWNER_UID=1000"));
    assert_true(has(&arguments, "CAGED_INVOCATION_ID=0123"));
    assert_true(has(&arguments, "--since=-1h"));
    assert_true(has(&arguments, "--until=now"));
    assert_true(has(&arguments, "--lines=7"));
    history_arguments_deinit(&arguments);
}

static void test_times(void **state)
{
    static const char *const good[] = {"-1h", "2026-01-02 03:04:05", "today", "@1700000000.5"};
    static const char *const bad[] = {"", "a\nb", "x=y", "caf\xc3\xa9"};
    char longest[HISTORY_TIME_MAX + 2];

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(history_time_is_sane(good[i]));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(history_time_is_sane(bad[i]));
    memset(longest, '1', sizeof(longest));
    longest[HISTORY_TIME_MAX + 1] = 0;
    assert_false(history_time_is_sane(longest));
    longest[HISTORY_TIME_MAX] = 0;
    assert_true(history_time_is_sane(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_this_program_sent_as_root_is_asked_for),
        cmocka_unit_test(test_each_kind_has_its_entries),
        cmocka_unit_test(test_what_is_not_asked_for_is_no_bound),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
