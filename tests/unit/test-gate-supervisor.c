/* daemon/network/gate-supervisor with a gate that was taken over (scripted-gate.h): what is not in
 * the contract (common/gate-proto.h) kills the gate, reaches nobody, and is said once. Its updates
 * and holds: test-gate-supervisor-update.c. */
#include "gate-scene.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"

static void test_good_messages(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    script_add_ready(&script);
    for (int i = 0; i < 100; i++)
        script_add_decision(&script, "a.example");
    scene_run(&script, 100, &seen);
    assert_int_equal(seen.decided, 100);
    assert_string_equal(seen.failures, "");
}

#define MISBEHAVED "it sent a message that it never should;it was killed;"

static void test_a_failure_is_the_last_word(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    for (int i = 0; i < 5; i++)
        script_add_failed(&script, "no memory");
    scene_run(&script, 0, &seen);
    assert_string_equal(seen.failures, "no memory;it was killed;");

    script_add_ready(&script);
    for (int i = 0; i < 5; i++)
        script_add_failed(&script, "flooding the log");
    scene_run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
}

static void test_what_no_gate_says(void **state)
{
    static const char *const hosts[] = {"\033[2J", "a\nb", "a\x7f", "\xff"};
    struct records_writer script = {0};
    struct seen seen;

    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        script_add_ready(&script);
        script_add_decision(&script, hosts[i]);
        script_add_decision(&script, "a.example");
        scene_run(&script, 0, &seen);
        assert_string_equal(seen.failures, MISBEHAVED);
        assert_int_equal(seen.decided, 0);
    }
    script_add_decision(&script, "a.example"); /* before READY */
    scene_run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    script_add_failed(&script, "\033[2J");
    scene_run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    assert_int_equal(seen.decided, 0);
}

/* Nothing of a message reaches anybody if the contract does not have all of it. */
static void test_a_good_group_before_a_bad_one_is_not_taken(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    for (int bad = 0; bad < 6; bad++) {
        struct records_writer w = {0};
        message_put_decision(&w, GATE_ALLOWED, 1, "a.example");
        message_put_end(&w, 1, "a.example");
        if (bad == 0)
            message_put_decision(&w, GATE_VERDICT_COUNT, 1, "a.example");
        else if (bad == 1)
            message_put_decision(&w, GATE_HELD, 2, "a.example");
        else if (bad == 2)
            message_put_end(&w, 0, "a.example");
        else if (bad == 3)
            message_put_decision_of(&w, GATE_ALLOWED, (uint64_t)INT64_MAX + 1, 1, "a.example");
        else if (bad == 4)
            message_put_end_of(&w, (uint64_t)INT64_MAX + 1, 1, "a.example");
        else
            message_put_end(&w, (uint64_t)UINT32_MAX + 1, "a.example");
        script_add_ready(&script);
        script_add(&script, &w);
        scene_run(&script, 0, &seen);
        assert_string_equal(seen.failures, MISBEHAVED);
        assert_int_equal(seen.decided + seen.ended, 0);
    }
}

/* A gate that dies is asked for the ends that it owes, and so is one that is told to end. */
static void test_requests_without_an_end_are_counted(void **state)
{
    struct records_writer script = {0}, w = {0};
    struct seen seen;

    message_put_decision(&w, GATE_ALLOWED, 5, "a.example");
    message_put_decision(&w, GATE_ALLOWED, 1, "a.example");
    message_put_decision(&w, GATE_HELD, 1, "a.example");
    message_put_decision(&w, GATE_REFUSED, 9, "a.example");
    message_put_end(&w, 2, "a.example");
    script_add_ready(&script);
    script_add(&script, &w);
    scene_run(&script, 4, &seen);
    assert_int_equal(seen.ended, 1);
    assert_string_equal(seen.failures, "it exited;");
    assert_int_equal(seen.n_without_end, 4);

    message_put_decision(&w, GATE_ALLOWED, 1, "a.example");
    message_put_end(&w, 1, "a.example");
    script_add_ready(&script);
    script_add(&script, &w);
    scene_run(&script, 1, &seen);
    assert_string_equal(seen.failures, "");
}

static void test_without_a_gate_the_connection_is_closed(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    assert_int_equal(records_put(&script, SCRIPT_MESSAGE, NULL, 0), 0);
    scene_run(&script, 0, &seen);
    assert_string_equal(seen.failures, "it exited;");
    assert_true(seen.client_closed);
}

/* Else the gate that has just died would be followed by another at once, and so on. */
static void test_without_a_gate_a_question_is_thrown_away(void **state)
{
    struct records_writer script = {0};
    struct seen seen = {0};
    struct gate_supervisor *gate = NULL;
    sd_event *event = NULL;
    char byte = 'x';
    int names[2];
    AUTO_FD int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, names), 0);
    assert_int_equal(records_put(&script, SCRIPT_MESSAGE, NULL, 0), 0);
    assert_true(sd_event_new(&event) >= 0);
    const struct gate_setup setup = {
        .event = event,
        .executable = self,
        .null = null,
        .config = memfd_new_sealed("script", script.data, script.size),
        .cgroup_fd = -EBADF,
        .listeners = names,
        .n_listeners = 1,
        .user = &seen,
        .failed = seen_failed,
    };
    assert_int_equal(gate_supervisor_new(&setup, &gate), 0);
    assert_int_equal(send(names[1], "question", 8, 0), 8);
    assert_int_equal(send(names[1], "another", 7, 0), 7);
    for (int i = 0; i < SCENE_STEPS_MAX && !seen.died; i++)
        assert_true(sd_event_run(event, 10000000) > 0);
    assert_string_equal(seen.failures, "it exited;");
    assert_int_equal(recv(names[0], &byte, 1, MSG_DONTWAIT), -1);
    gate_supervisor_free(gate);
    sd_event_unref(event);
    fd_close(names[0]);
    fd_close(names[1]);
    records_writer_deinit(&script);
}

static void test_too_many_listeners(void **state)
{
    const struct gate_setup setup = {.config = -EBADF, .n_listeners = GATE_LISTENERS_MAX + 1};
    struct gate_supervisor *gate = NULL;
    assert_int_equal(gate_supervisor_new(&setup, &gate), -E2BIG);
    assert_null(gate);
}

int main(int argc, char **argv)
{
    if (scripted_gate_is_called(argv))
        return scripted_gate_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_messages),
        cmocka_unit_test(test_a_failure_is_the_last_word),
        cmocka_unit_test(test_what_no_gate_says),
        cmocka_unit_test(test_a_good_group_before_a_bad_one_is_not_taken),
        cmocka_unit_test(test_requests_without_an_end_are_counted),
        cmocka_unit_test(test_without_a_gate_the_connection_is_closed),
        cmocka_unit_test(test_without_a_gate_a_question_is_thrown_away),
        cmocka_unit_test(test_too_many_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
