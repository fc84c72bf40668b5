/* Log entries as text and in the journal: an agent's output can begin no line and no field of its
 * own. For the journal a socket of ours stands at its place, in a mount namespace of the test. */
#include "unit-test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "log.h"

#define TEXT_MAX (512 * 1024)

static char captured[TEXT_MAX];
static int stderr_kept = -EBADF, file = -EBADF;

static void capture_begin(void)
{
    file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    stderr_kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(dup2(file, STDERR_FILENO) == STDERR_FILENO);
}

/* What was written, without the time stamp at the start of its first line. */
static const char *capture_end(void)
{
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
    log_entry(LOG_NOTICE, LOG_ID_AGENT_STARTED, fields, ARRAY_SIZE(fields), "started %s", "a");
    assert_string_equal(capture_end(),
                        "cagedd: notice: started a CAGED_AGENT=\"a\" "
                        "CAGED_RULE=\"x\\\" CAGED_ALLOWED=\\\"yes\\\\\\x0a\\x09\"\n");
}

static void test_agent_lines(void **state)
{
    static const char line[] = "tab\there\ncagedd: error: fake\0end";

    capture_begin();
    log_agent_line("hello", "stdout", 1000, line, sizeof(line) - 1);
    assert_string_equal(capture_end(), "agent hello of uid 1000, stdout: "
                                       "tab\there\\x0acagedd: error: fake\\x00end\n");

    capture_begin();
    log_agent_line("hello", "stderr", 4294967294, "", 0);
    assert_string_equal(capture_end(), "agent hello of uid 4294967294, stderr: \n");

    /* a character that is cut off at the end of the line */
    capture_begin();
    log_agent_line("hello", "stdout", 1, "\xe2\x82", 2);
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
    log_agent_line("a", "stdout", 1, line, SIZE);
    const char *text = capture_end();
    assert_true(has_prefix(text, "agent a of uid 1, stdout: \\x01xx\\x01xx"));
    assert_int_equal(strlen(text), strlen("agent a of uid 1, stdout: \n") + SIZE + 3 * 33334);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* -- the journal -- */

/* In a child with a /run of its own: whoever runs the test keeps his. */
static int journal_socket(void)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                               .sun_path = "/run/systemd/journal/socket"};

    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
        mkdir("/run/systemd/journal", 0755) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

/* Whether the datagram, in the journal's native protocol, has this as one whole field: NAME=value
 * and a newline, or for a value with newlines NAME, a newline, u64 length (little endian), value.
 */
static bool has_field(const char *data, size_t size, const char *field, size_t field_size)
{
    for (const char *p = data; (size_t)(data + size - p) > field_size; p++)
        if ((p == data || p[-1] == '\n') && memcmp(p, field, field_size) == 0 &&
            p[field_size] == '\n')
            return true;
    return false;
}

#define HAS(field) has_field(data, (size_t)n, field, sizeof(field) - 1)

/* The exit status tells the step that failed. */
static int check_journal(void)
{
    const struct log_field fields[] = {{"CAGED_AGENT", "a"}, {"CAGED_HOST", NULL}};
    char data[4096];
    ssize_t n;

    int fd = journal_socket();
    if (fd < 0)
        return 1;
    log_open();
    log_entry(LOG_ERR, LOG_ID_AGENT_FAILED, fields, ARRAY_SIZE(fields), "it %s", "broke");
    n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    if (n <= 0)
        return 2;
    if (!HAS("MESSAGE=it broke") || !HAS("PRIORITY=3") || !HAS("SYSLOG_IDENTIFIER=cagedd") ||
        !HAS("CAGED_AGENT=a") || !HAS("MESSAGE_ID=" LOG_ID_AGENT_FAILED) ||
        memmem(data, (size_t)n, "CAGED_HOST", 10))
        return 3;
    log_agent_line("a", "stderr", 1000, "x\nPRIORITY=0\0y", 14);
    n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    if (n <= 0)
        return 4;
    if (!HAS("MESSAGE\n\x0e\0\0\0\0\0\0\0x\nPRIORITY=0\0y") || !HAS("CAGED_STREAM=stderr") ||
        !HAS("CAGED_OWNER_UID=1000") || !HAS("PRIORITY=6") || !HAS("SYSLOG_IDENTIFIER=caged-agent"))
        return 5;
    return 0;
}

static void test_journal(void **state)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(check_journal());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),    cmocka_unit_test(test_fields),
        cmocka_unit_test(test_agent_lines), cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
