/* Log entries as text and in the journal: an agent's output can begin no line and no field of its
 * own, and nothing is lost while the journal is away. All in a mount namespace with a /run of the
 * test's own, where a socket of ours stands at the journal's place. */
#include "unit-test.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "caged-limits.h"
#include "log.h"

#define TEXT_MAX (512 * 1024)
#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define TIMEOUT_MSEC 20000

static char captured[TEXT_MAX];
static int stderr_kept = -EBADF, file = -EBADF;

/* -- as text -- */

static void capture_begin(void)
{
    file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    stderr_kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    assert_int_equal(log_open(), 0);
}

/* What was written, without the time stamp at the start of its first line. */
static const char *capture_end(void)
{
    log_close();
    assert_true(dup2(stderr_kept, STDERR_FILENO) == STDERR_FILENO);
    stderr_kept = fd_close(stderr_kept);
    ssize_t n = pread(file, captured, sizeof(captured) - 1, 0);
    file = fd_close(file);
    assert_true(n > 21);
    captured[n] = '\0';
    assert_int_equal(captured[4], '-');
    assert_string_equal(captured + n - 1, "\n");
    assert_memory_equal(captured + 19, "Z ", 2);
    return captured + 21;
}

static struct log_agent *new_agent(const char *id, uint64_t owner, const char *unit)
{
    const struct log_agent_setup setup = {
        .agent_id = id, .owner_uid = owner, .invocation_id = "0a", .unit = unit};
    struct log_agent *agent = log_agent_new(&setup);

    assert_non_null(agent);
    return agent;
}

static void log_one_line(const char *id, uint64_t owner, const char *stream, const void *data,
                         size_t size)
{
    struct log_agent *agent = new_agent(id, owner, NULL);
    const struct log_line line = {.agent = agent, .stream = stream, .data = data, .size = size};

    log_line(&line);
    log_agent_free(agent);
}

static void test_messages(void **state)
{
    capture_begin();
    log_warning("%s: %d", "no such thing", 5);
    assert_string_equal(capture_end(), "cagedd: warning: no such thing: 5\n");

    capture_begin();
    log_message(LOG_ERR, "one\ntwo\r\x1b[2J\x7f \xc3\xa4 \xff \xc2\x9b \xed\xa0\x80");
    assert_string_equal(capture_end(),
                        "cagedd: error: one\\x0atwo\\x0d\\x1b[2J\\x7f \xc3\xa4 \\xff "
                        "\\xc2\\x9b \\xed\\xa0\\x80\n");
}

static void test_fields(void **state)
{
    const struct log_field fields[] = {
        {"CAGED_AGENT", "a"},
        {"CAGED_HOST", NULL},
        {"CAGED_RULE", "x\" CAGED_ALLOWED=\"yes\\\n\t"},
    };

    capture_begin();
    log_entry(NULL, LOG_NOTICE, LOG_ID_AGENT_STARTED, fields, ARRAY_SIZE(fields), "started %s",
              "a");
    assert_string_equal(capture_end(),
                        "cagedd: notice: started a CAGED_AGENT=\"a\" "
                        "CAGED_RULE=\"x\\\" CAGED_ALLOWED=\\\"yes\\\\\\x0a\\x09\"\n");
}

static void test_agent_lines(void **state)
{
    static const char line[] = "tab\there\ncagedd: error: fake\0end";

    capture_begin();
    log_one_line("hello", 1000, "stdout", line, sizeof(line) - 1);
    assert_string_equal(capture_end(), "agent hello of uid 1000, stdout: "
                                       "tab\there\\x0acagedd: error: fake\\x00end\n");

    capture_begin();
    log_one_line("hello", 4294967294, "stderr", "", 0);
    assert_string_equal(capture_end(), "agent hello of uid 4294967294, stderr: \n");

    /* a character that is cut off at the end of the line */
    capture_begin();
    log_one_line("hello", 1, "stdout", "\xe2\x82", 2);
    assert_string_equal(capture_end(), "agent hello of uid 1, stdout: \\xe2\\x82\n");
}

/* Longer than the buffer in which a line is put together, and nothing is lost. */
static void test_long_lines(void **state)
{
    enum { SIZE = 100000 };
    AUTO_FREE char *line = malloc(SIZE);

    assert_non_null(line);
    for (size_t i = 0; i < SIZE; i++)
        line[i] = i % 3 ? 'x' : '\x01';
    capture_begin();
    log_one_line("a", 1, "stdout", line, SIZE);
    const char *text = capture_end();
    assert_true(has_prefix(text, "agent a of uid 1, stdout: \\x01xx\\x01xx"));
    assert_int_equal(strlen(text), strlen("agent a of uid 1, stdout: \n") + SIZE + 3 * 33334);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_an_entry_about_an_agent_names_it(void **state)
{
    const struct log_field fields[] = {{"CAGED_REASON", "ttl"}};

    capture_begin();
    struct log_agent *agent = new_agent("a", 7, "x.service");
    log_entry(agent, LOG_ERR, NULL, fields, ARRAY_SIZE(fields), "ended");
    log_agent_free(agent);
    assert_string_equal(capture_end(),
                        "cagedd: error: ended CAGED_AGENT=\"a\" CAGED_OWNER_UID=\"7\" "
                        "CAGED_INVOCATION_ID=\"0a\" OBJECT_SYSTEMD_UNIT=\"x.service\" "
                        "CAGED_REASON=\"ttl\"\n");
}

/* Before and after there is a thread that writes. */
static void test_without_a_queue_text_is_written_at_once(void **state)
{
    capture_begin();
    log_close();
    log_error("late");
    assert_string_equal(capture_end(), "cagedd: error: late\n");
}

/* -- the journal -- */

static int journal = -EBADF;

static void journal_bind(void)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};

    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(journal >= 0);
    assert_int_equal(bind(journal, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static void journal_close(void)
{
    journal = fd_close(journal);
    (void)unlink(JOURNAL_SOCKET);
}

static int journal_set_up(void **state)
{
    journal_bind();
    return log_open();
}

static int journal_tear_down(void **state)
{
    log_close();
    journal_close();
    return 0;
}

static char datagram[1024 * 1024];
static size_t datagram_size;

static void receive(void)
{
    struct pollfd fd = {.fd = journal, .events = POLLIN};

    assert_int_equal(poll(&fd, 1, TIMEOUT_MSEC), 1);
    ssize_t n = recv(journal, datagram, sizeof(datagram), MSG_DONTWAIT);
    assert_true(n > 0);
    datagram_size = (size_t)n;
}

/* Whether the datagram, in the journal's native protocol, has this as one whole field: NAME=value
 * and a newline, or for a value with newlines NAME, a newline, u64 length (little endian), value.
 */
static bool has_field(const char *field, size_t size)
{
    for (const char *p = datagram; (size_t)(datagram + datagram_size - p) > size; p++)
        if ((p == datagram || p[-1] == '\n') && memcmp(p, field, size) == 0 && p[size] == '\n')
            return true;
    return false;
}

#define HAS(field) has_field(field, sizeof(field) - 1)
#define HAS_NOT(text) (memmem(datagram, datagram_size, text, sizeof(text) - 1) == NULL)

static void test_an_entry_in_the_journal(void **state)
{
    const struct log_field fields[] = {{"CAGED_CODE", "x"}, {"CAGED_HOST", NULL}};

    log_entry(NULL, LOG_ERR, LOG_ID_AGENT_REFUSED, fields, ARRAY_SIZE(fields), "it %s", "broke");
    receive();
    assert_true(HAS("MESSAGE=it broke") && HAS("PRIORITY=3") && HAS("SYSLOG_IDENTIFIER=cagedd"));
    assert_true(HAS("CAGED_CODE=x") && HAS("MESSAGE_ID=" LOG_ID_AGENT_REFUSED));
    assert_true(HAS_NOT("CAGED_HOST") && HAS_NOT("CAGED_AGENT") && HAS_NOT("CAGED_STREAM"));
}

static void test_entries_about_an_agent_in_the_journal(void **state)
{
    struct log_agent *agent = new_agent("alpha", 1000, "caged-agent@alpha.service");
    const struct log_line line = {
        .agent = agent,
        .stream = "stderr",
        .sequence = 18446744073709551615u,
        .time_usec = 1700000000123456,
        .partial = true,
        .data = "x\nPRIORITY=0\0y",
        .size = 14,
    };

    log_entry(agent, LOG_NOTICE, LOG_ID_AGENT_STARTED, NULL, 0, "runs");
    log_line(&line);
    log_agent_free(agent);
    for (int i = 0; i < 2; i++) {
        receive();
        assert_true(HAS("CAGED_AGENT=alpha") && HAS("CAGED_OWNER_UID=1000"));
        assert_true(HAS("CAGED_INVOCATION_ID=0a"));
        assert_true(HAS("OBJECT_SYSTEMD_UNIT=caged-agent@alpha.service"));
        if (i == 0)
            assert_true(HAS("MESSAGE=runs") && HAS("PRIORITY=5") && HAS_NOT("CAGED_SEQUENCE"));
    }
    assert_true(HAS("MESSAGE\n\x0e\0\0\0\0\0\0\0x\nPRIORITY=0\0y") && HAS("PRIORITY=6"));
    assert_true(HAS("SYSLOG_IDENTIFIER=caged-agent") && HAS("CAGED_STREAM=stderr"));
    assert_true(HAS("CAGED_SEQUENCE=18446744073709551615") && HAS("CAGED_PARTIAL=1"));
    assert_true(HAS("CAGED_TIME_USEC=1700000000123456"));
}

/* And the writer is done with it. */
static void take_the_first(void)
{
    struct log_agent *agent = new_agent("a", 1, NULL);

    log_entry(agent, LOG_INFO, NULL, NULL, 0, "one");
    receive();
    assert_true(HAS("MESSAGE=one"));
    while (!log_agent_is_written(agent))
        (void)poll(NULL, 0, 1);
    log_agent_free(agent);
}

/* sd_journal_sendv(3) calls that a success. */
static void test_an_entry_waits_while_the_socket_is_not_there(void **state)
{
    take_the_first();
    journal_close();
    log_error("two");
    log_error("three");
    assert_int_equal(poll(NULL, 0, 50), 0); /* long enough to have sent it into nowhere */
    journal_bind();
    receive();
    assert_true(HAS("MESSAGE=two"));
    receive();
    assert_true(HAS("MESSAGE=three"));
    assert_int_equal(recv(journal, datagram, sizeof(datagram), MSG_DONTWAIT), -1);
}

static void test_an_entry_waits_while_nobody_has_the_socket(void **state)
{
    take_the_first();
    journal = fd_close(journal);
    log_error("two");
    assert_int_equal(poll(NULL, 0, 50), 0);
    (void)unlink(JOURNAL_SOCKET);
    journal_bind();
    receive();
    assert_true(HAS("MESSAGE=two"));
}

static void test_where_systemd_runs_the_journal_is_waited_for(void **state)
{
    assert_int_equal(mkdir("/run/systemd/system", 0755), 0); /* sd_booted(3) */
    assert_int_equal(log_open(), 0);
    log_error("early");
    journal_bind();
    receive();
    assert_true(HAS("MESSAGE=early"));
    assert_int_equal(journal_tear_down(NULL), 0);
    assert_int_equal(rmdir("/run/systemd/system"), 0);
}

/* Nobody reads the journal's socket: what finds no room is counted, and told where it belongs. */
static void test_what_is_lost_is_told(void **state)
{
    enum { ENTRIES = 6000 };
    char expected[64], filler[1024] = "";
    unsigned kept = 0;

    memset(filler, 'x', sizeof(filler) - 1);
    for (unsigned i = 0; i < ENTRIES; i++)
        log_error("entry %u %s", i, filler);
    for (bool told = false; !told; kept++) {
        log_dispatch(); /* as the event loop does */
        receive();
        told = HAS("MESSAGE_ID=" LOG_ID_ENTRIES_LOST);
        (void)snprintf(expected, sizeof(expected), "MESSAGE=entry %u ", kept);
        assert_true(told || memmem(datagram, datagram_size, expected, strlen(expected)));
    }
    kept--;
    (void)snprintf(expected, sizeof(expected), "CAGED_LOST=%u", ENTRIES - kept);
    assert_true(has_field(expected, strlen(expected)));
    assert_in_range(kept, LOG_UNSENT_MAX / 1200, ENTRIES - 1000);
    log_error("after");
    receive();
    assert_true(HAS("MESSAGE=after"));
}

/* A /run of our own: whoever runs the test keeps his. */
static int enter_namespace(void **state)
{
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0)
        return -1;
    return mkdir("/run/systemd/journal", 0755);
}

#define JOURNAL_TEST(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, journal_set_up, journal_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_agent_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_an_entry_about_an_agent_names_it),
        cmocka_unit_test(test_without_a_queue_text_is_written_at_once),
        JOURNAL_TEST(test_an_entry_in_the_journal),
        JOURNAL_TEST(test_entries_about_an_agent_in_the_journal),
        JOURNAL_TEST(test_an_entry_waits_while_the_socket_is_not_there),
        JOURNAL_TEST(test_an_entry_waits_while_nobody_has_the_socket),
        cmocka_unit_test(test_where_systemd_runs_the_journal_is_waited_for),
        JOURNAL_TEST(test_what_is_lost_is_told),
    };
    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
