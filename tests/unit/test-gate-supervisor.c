/* daemon/gate-supervisor with a gate that was taken over: this program, which sends the messages
 * that its configuration holds. What is not in the contract (common/gate-proto.h) kills the gate,
 * reaches nobody, and is said once. */
#include "unit-test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "gate-proto.h"
#include "gate-supervisor.h"
#include "records.h"

#define MESSAGE 1 /* a record of the configuration: a message to send */
#define STEPS_MAX 1000

/* -- the gate -- */

/* A script without a word: the gate ends before it is ready. */
static bool is_empty(const void *data, size_t size)
{
    struct records_reader reader = {.data = data, .size = size};
    struct record record;

    return records_next(&reader, &record) == 1 && record.size == 0;
}

static int be_the_gate(void)
{
    const void *data;
    size_t size;
    struct record record;
    char byte;

    if (memfd_map_sealed(GATE_FD_CONFIG, SPEC_SIZE_MAX, &data, &size) < 0)
        return EXIT_FAILURE;
    if (is_empty(data, size))
        return EXIT_FAILURE;
    struct records_reader reader = {.data = data, .size = size};
    while (records_next(&reader, &record) == 1)
        if (send(GATE_FD_CONTROL, record.value, record.size, MSG_NOSIGNAL) < 0)
            return EXIT_FAILURE;
    struct pollfd end = {.fd = GATE_FD_CONTROL, .events = POLLIN};
    while (recv(GATE_FD_CONTROL, &byte, 1, 0) < 0 && errno == EAGAIN)
        (void)poll(&end, 1, -1);
    return EXIT_SUCCESS;
}

static void add(struct records_writer *script, struct records_writer *message)
{
    assert_int_equal(records_put(script, MESSAGE, message->data, message->size), 0);
    records_writer_deinit(message);
}

static void add_ready(struct records_writer *script)
{
    struct records_writer w = {0};
    (void)records_put(&w, GATE_MESSAGE_READY, NULL, 0);
    add(script, &w);
}

static void add_failed(struct records_writer *script, const char *why)
{
    struct records_writer w = {0};
    (void)records_put_string(&w, GATE_MESSAGE_FAILED, why);
    add(script, &w);
}

static void add_decision(struct records_writer *script, const char *host)
{
    struct records_writer w = {0};
    (void)records_put_u64(&w, GATE_MESSAGE_DECISION, 1);
    (void)records_put_string(&w, GATE_MESSAGE_METHOD, "CONNECT");
    (void)records_put_string(&w, GATE_MESSAGE_HOST, host);
    (void)records_put_u64(&w, GATE_MESSAGE_PORT, 443);
    (void)records_put_string(&w, GATE_MESSAGE_ADDRESS, "11.22.33.44");
    (void)records_put_string(&w, GATE_MESSAGE_RULE, host);
    (void)records_put_string(&w, GATE_MESSAGE_REASON, "ok");
    (void)records_put_u64(&w, GATE_MESSAGE_STATUS, 0);
    add(script, &w);
}

/* -- the daemon -- */

struct seen {
    unsigned decided;
    char failures[256]; /* one after the other, each with a ";" */
    bool died, stopped;
    bool client_closed; /* what the agent sees of its connection when the gate has died */
};

static void on_decided(void *user, const struct gate_decision *decision)
{
    struct seen *seen = user;
    assert_string_equal(decision->host, "a.example");
    seen->decided++;
}

static void on_failed(void *user, const char *why)
{
    struct seen *seen = user;
    size_t n = strlen(seen->failures);
    (void)snprintf(seen->failures + n, sizeof(seen->failures) - n, "%s;", why);
    seen->died = seen->died || has_prefix(why, "it was killed") || has_prefix(why, "it exited");
}

static void on_stopped(void *user)
{
    struct seen *seen = user;
    seen->stopped = true;
}

/* Lets a gate with this script be started by a connection; until it died, or sent `decisions`. */
static void run(struct records_writer *script, unsigned decisions, struct seen *seen)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    AUTO_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    AUTO_FD int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_FD int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct gate_supervisor *gate = NULL;
    sd_event *event = NULL;

    *seen = (struct seen){0};
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, size), 0);
    assert_true(sd_event_new(&event) >= 0);
    const struct gate_setup setup = {
        .event = event,
        .executable = self,
        .null = null,
        .config = memfd_new_sealed("script", script->data, script->size),
        .listeners = &listener,
        .n_listeners = 1,
        .user = seen,
        .decided = on_decided,
        .failed = on_failed,
        .stopped = on_stopped,
    };
    assert_int_equal(gate_supervisor_new(&setup, &gate), 0);
    for (int i = 0; i < STEPS_MAX && !seen->died && (!decisions || seen->decided < decisions); i++)
        assert_true(sd_event_run(event, 5000000) > 0);
    char byte;
    seen->client_closed = recv(client, &byte, 1, MSG_DONTWAIT) == 0;
    assert_int_equal(gate_supervisor_stop(gate), 0);
    for (int i = 0; i < STEPS_MAX && !seen->stopped; i++)
        assert_true(sd_event_run(event, 5000000) > 0);
    assert_true(seen->stopped);
    gate_supervisor_free(gate);
    sd_event_unref(event);
    records_writer_deinit(script);
}

static void test_good_messages(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    add_ready(&script);
    for (int i = 0; i < 100; i++)
        add_decision(&script, "a.example");
    run(&script, 100, &seen);
    assert_int_equal(seen.decided, 100);
    assert_string_equal(seen.failures, "");
}

#define MISBEHAVED "it sent a message that it never should;it was killed;"

static void test_a_failure_is_the_last_word(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    for (int i = 0; i < 5; i++)
        add_failed(&script, "no memory");
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, "no memory;it was killed;");

    add_ready(&script);
    for (int i = 0; i < 5; i++)
        add_failed(&script, "flooding the log");
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
}

static void test_what_no_gate_says(void **state)
{
    static const char *const hosts[] = {"\033[2J", "a\nb", "a\x7f", "\xff"};
    struct records_writer script = {0};
    struct seen seen;

    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        add_ready(&script);
        add_decision(&script, hosts[i]);
        add_decision(&script, "a.example");
        run(&script, 0, &seen);
        assert_string_equal(seen.failures, MISBEHAVED);
        assert_int_equal(seen.decided, 0);
    }
    add_decision(&script, "a.example"); /* before READY */
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    add_failed(&script, "\033[2J");
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    assert_int_equal(seen.decided, 0);
}

static void test_without_a_gate_the_connection_is_closed(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    assert_int_equal(records_put(&script, MESSAGE, NULL, 0), 0);
    run(&script, 0, &seen);
    assert_string_equal(seen.failures, "it exited;");
    assert_true(seen.client_closed);
}

static void test_too_many_listeners(void **state)
{
    const struct gate_setup setup = {.config = -EBADF, .n_listeners = GATE_FORWARDS_MAX + 2};
    struct gate_supervisor *gate = NULL;
    assert_int_equal(gate_supervisor_new(&setup, &gate), -E2BIG);
    assert_null(gate);
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "caged-gate") == 0)
        return be_the_gate();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_messages),
        cmocka_unit_test(test_a_failure_is_the_last_word),
        cmocka_unit_test(test_what_no_gate_says),
        cmocka_unit_test(test_without_a_gate_the_connection_is_closed),
        cmocka_unit_test(test_too_many_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
