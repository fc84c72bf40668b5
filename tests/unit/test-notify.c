/* What systemd is told: by either kind of address, whole, and nothing where nobody listens. */
#include "unit-test.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../client/notify.h"
#include "util.h"

/* A socket as systemd's, and its address in $NOTIFY_SOCKET. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, name, strlen(name) + 1);
    socklen_t size = sizeof(address);
    if (name[0] == '@') {
        address.sun_path[0] = 0;
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    }
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void assert_receives(int fd, const char *expected)
{
    char text[8192];
    ssize_t n = recv(fd, text, sizeof(text), 0);

    assert_int_equal(n, strlen(expected));
    assert_memory_equal(text, expected, strlen(expected));
}

static void test_messages_arrive_at_a_path_and_at_an_abstract_name(void **state)
{
    char folder[] = "/tmp/caged-notify-XXXXXX", path[64], abstract[64], text[5001] = {};

    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    (void)snprintf(abstract, sizeof(abstract), "@caged-notify-%d", getpid());
    const char *const names[] = {path, abstract};
    memset(text, 'x', sizeof(text) - 1);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int fd = listen_at(names[i]);
        assert_int_equal(notify_send("READY=1\nSTATUS=%s, pid %d", "running", 7), 1);
        assert_receives(fd, "READY=1\nSTATUS=running, pid 7");
        assert_int_equal(notify_send("%s", text), 1);
        assert_receives(fd, text);
        (void)close(fd);
    }
    (void)unlink(path);
    (void)rmdir(folder);
}

static void test_without_a_listener_there_is_nothing_or_an_error(void **state)
{
    static const struct {
        const char *name;
        int result;
    } cases[] = {
        {"", 0},
        {"relative", -EAFNOSUPPORT},
        {"/", -EAFNOSUPPORT},
        {"@", -EAFNOSUPPORT},
        {"vsock:2:1234", -EAFNOSUPPORT},
        {"/nonexistent/socket", -ENOENT},
        {"/-------------------------------------------------------------------------------------"
         "----------------------------------------",
         -ENAMETOOLONG},
    };

    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(notify_send("READY=1"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", cases[i].name, 1), 0);
        assert_int_equal(notify_send("READY=1"), cases[i].result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_arrive_at_a_path_and_at_an_abstract_name),
        cmocka_unit_test(test_without_a_listener_there_is_nothing_or_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
