/* Command lines of cagectl (client/options.c): what each means, and what is said of bad ones. */
#include "unit-test.h"

#include <signal.h>

#include "client/options.h"

#define ANY_OPTION (~(unsigned)OPTION_HELP)

static const struct verb spawn = {
    .name = "spawn",
    .options = OPTION_FOLLOW | OPTION_WAIT | OPTION_JSON | OPTION_SOCKET,
    .min_arguments = 1,
    .max_arguments = 1,
    .missing = "a card",
    .takes_rest = true,
};
static const struct verb many = {
    .name = "many",
    .options = ANY_OPTION,
    .min_arguments = 1,
    .max_arguments = ANY_NUMBER,
    .missing = "an id",
};
static const struct verb none = {.name = "none", .options = OPTION_JSON};

/* The words of a line, in place. */
static int parse(const struct verb *verb, const char *line, struct options *ret, char *why,
                 size_t size)
{
    static char words[256];
    static char *argv[32];
    int argc = 0;

    strncpy(words, line, sizeof(words) - 1);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return options_parse(argc, argv, verb, ret, why, size);
}

static struct options accept(const struct verb *verb, const char *line)
{
    struct options options;
    char why[256] = "";

    if (parse(verb, line, &options, why, sizeof(why)) < 0)
        fail_msg("'%s' was refused: %s", line, why);
    return options;
}

static void refuse(const struct verb *verb, const char *line, const char *expected)
{
    struct options options;
    char why[256] = "";

    assert_int_equal(parse(verb, line, &options, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, expected);
}

static void test_options_anywhere(void **state)
{
    static const char *const lines[] = {
        "spawn --follow -j card",
        "spawn card --follow --json",
        "spawn -jf card",
        "spawn -f card -j --",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct options o = accept(&spawn, lines[i]);
        assert_int_equal(o.given, OPTION_FOLLOW | OPTION_JSON);
        assert_int_equal(o.n_arguments, 1);
        assert_string_equal(o.arguments[0], "card");
        assert_int_equal(o.n_rest, 0);
        options_deinit(&o);
    }
}

static void test_rest_is_the_agents(void **state)
{
    struct options o = accept(&spawn, "spawn card -f -- --json -- -x");

    assert_int_equal(o.given, OPTION_FOLLOW);
    assert_int_equal(o.n_arguments, 1);
    assert_int_equal(o.n_rest, 3);
    assert_string_equal(o.rest[0], "--json");
    assert_string_equal(o.rest[1], "--");
    assert_string_equal(o.rest[2], "-x");
    options_deinit(&o);
    refuse(&spawn, "spawn -- card", "'spawn' needs a card");
    refuse(&spawn, "spawn card word",
           "unexpected argument 'word' (what is for the agent comes after '--')");
}

static void test_ids_that_begin_with_a_dash(void **state)
{
    struct options o = accept(&many, "many a -a -- -b --json");

    assert_int_equal(o.given, OPTION_ALL);
    assert_int_equal(o.n_arguments, 3);
    assert_string_equal(o.arguments[0], "a");
    assert_string_equal(o.arguments[1], "-b");
    assert_string_equal(o.arguments[2], "--json");
    assert_int_equal(o.n_rest, 0);
    options_deinit(&o);
}

static void test_standard_input_is_an_argument(void **state)
{
    struct options o = accept(&spawn, "spawn -");

    assert_string_equal(o.arguments[0], "-");
    options_deinit(&o);
}

static void test_values(void **state)
{
    struct options o =
        accept(&many, "many x -n 10 --grace=0 -s term --socket /s --owner me --id a");

    assert_int_equal(o.given, OPTION_LINES | OPTION_GRACE | OPTION_SIGNAL | OPTION_SOCKET |
                                  OPTION_OWNER | OPTION_ID);
    assert_int_equal(o.lines, 10);
    assert_int_equal(o.grace, 0);
    assert_int_equal(o.signal, SIGTERM);
    assert_string_equal(o.socket, "/s");
    assert_string_equal(o.owner, "me");
    assert_string_equal(o.id, "a");
    options_deinit(&o);
}

static void test_an_argument_that_may_be_left_out(void **state)
{
    struct options o = accept(&many, "many x --ask y");

    assert_int_equal(o.given, OPTION_ASK);
    assert_int_equal(o.ask, 60);
    assert_int_equal(o.n_arguments, 2); /* "y" is not its time */
    options_deinit(&o);
    o = accept(&many, "many x --ask=600");
    assert_int_equal(o.ask, 600);
    options_deinit(&o);
    refuse(&many, "many x --ask=0", "--ask wants seconds from 1 to 600, not '0'");
    refuse(&many, "many x --ask=601", "--ask wants seconds from 1 to 600, not '601'");
    refuse(&many, "many x --ask=", "--ask wants seconds from 1 to 600, not ''");
}

static void test_signals(void **state)
{
    static const struct {
        const char *line;
        int signal;
    } rows[] = {
        {"many x -s 9", 9},
        {"many x -s KILL", SIGKILL},
        {"many x -s SIGUSR1", SIGUSR1},
        {"many x -s sigwinch", SIGWINCH},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct options o = accept(&many, rows[i].line);
        assert_int_equal(o.signal, rows[i].signal);
        options_deinit(&o);
    }
    struct options o = accept(&many, "many x -s RTMIN+1");
    assert_int_equal(o.signal, SIGRTMIN + 1);
    options_deinit(&o);
    refuse(&many, "many x -s 0", "--signal wants a signal such as TERM or 15, not '0'");
    refuse(&many, "many x -s 65", "--signal wants a signal such as TERM or 15, not '65'");
    refuse(&many, "many x -s -1", "--signal wants a signal such as TERM or 15, not '-1'");
    refuse(&many, "many x -s NONE", "--signal wants a signal such as TERM or 15, not 'NONE'");
}

static void test_bad_values(void **state)
{
    refuse(&many, "many x -n -1", "--lines wants a number of lines, not '-1'");
    refuse(&many, "many x -n 1k", "--lines wants a number of lines, not '1k'");
    refuse(&many, "many x -n 99999999999999999999",
           "--lines wants a number of lines, not '99999999999999999999'");
    refuse(&many, "many x --grace 3601", "--grace wants seconds from 0 to 3600, not '3601'");
    refuse(&many, "many x --socket=", "--socket wants a path, not ''");
    refuse(&many, "many x --owner=", "--owner wants a user, not ''");
    refuse(&many, "many x --id=", "--id wants the id of an agent, not ''");
}

static void test_unknown_and_missing(void **state)
{
    refuse(&none, "none --follow", "unknown option '--follow' for 'none'");
    refuse(&none, "none -f", "unknown option '-f' for 'none'");
    refuse(&none, "none -jf", "unknown option '-f' for 'none'");
    refuse(&none, "none x", "unexpected argument 'x'");
    refuse(&many, "many x --grace", "an argument is missing after '--grace' for 'many'");
    refuse(&many, "many x -g", "an argument is missing after '-g' for 'many'");
    refuse(&many, "many", "'many' needs an id");
}

static void test_help_needs_no_arguments(void **state)
{
    struct options o = accept(&many, "many --help");

    assert_true(option_given(&o, OPTION_HELP));
    options_deinit(&o);
    o = accept(&none, "none -h x y");
    assert_true(option_given(&o, OPTION_HELP));
    options_deinit(&o);
}

static void test_socket_of_the_environment(void **state)
{
    assert_int_equal(setenv(SOCKET_PATH_VARIABLE, "/from/environment", 1), 0);
    struct options o = accept(&many, "many x");
    assert_string_equal(o.socket, "/from/environment");
    options_deinit(&o);
    o = accept(&many, "many x --socket /given");
    assert_string_equal(o.socket, "/given");
    options_deinit(&o);
    assert_int_equal(setenv(SOCKET_PATH_VARIABLE, "", 1), 0);
    o = accept(&many, "many x");
    assert_string_equal(o.socket, SOCKET_PATH_DEFAULT);
    options_deinit(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_anywhere),
        cmocka_unit_test(test_rest_is_the_agents),
        cmocka_unit_test(test_ids_that_begin_with_a_dash),
        cmocka_unit_test(test_standard_input_is_an_argument),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_an_argument_that_may_be_left_out),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_unknown_and_missing),
        cmocka_unit_test(test_help_needs_no_arguments),
        cmocka_unit_test(test_socket_of_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
