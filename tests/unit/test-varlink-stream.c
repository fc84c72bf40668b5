/* Framing of common/varlink-stream.c over real socket pairs: pieces, pipelining, descriptors and
 * the message they belong to, senders, limits, and that no descriptor is left open. */
#include "unit-test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fd-io.h"
#include "varlink-stream.h"

#define MESSAGE_MAX 65536

struct pair {
    struct varlink_stream *stream; /* under test, non-blocking */
    int peer;                      /* the raw other end, blocking */
    size_t descriptors;            /* open ones of the process before the test */
};

static size_t descriptors_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    int fds[2];

    assert_non_null(pair);
    pair->descriptors = descriptors_count();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    pair->stream = varlink_stream_new(fds[0], MESSAGE_MAX);
    pair->peer = fds[1];
    assert_non_null(pair->stream);
    *state = pair;
    return 0;
}

/* Every test ends here: whatever it did, no descriptor may be left. */
static int teardown(void **state)
{
    struct pair *pair = *state;

    varlink_stream_free(pair->stream);
    fd_close(pair->peer);
    assert_int_equal(descriptors_count(), pair->descriptors);
    free(pair);
    return 0;
}

static void peer_send(struct pair *pair, const void *data, size_t size, const int *fds, size_t n)
{
    assert_int_equal(socket_send(pair->peer, data, size, fds, n), size);
}

static void expect_message(struct pair *pair, const char *key, size_t n_fds,
                           struct varlink_message *ret)
{
    struct json_text_error error;

    assert_int_equal(varlink_stream_next(pair->stream, ret, &error), 1);
    assert_non_null(json_object_get(ret->json, key));
    assert_int_equal(ret->n_fds, n_fds);
}

static void expect_none(struct pair *pair)
{
    struct varlink_message message;
    struct json_text_error error;

    assert_int_equal(varlink_stream_next(pair->stream, &message, &error), 0);
}

static bool same_file(int a, int b)
{
    struct stat x, y;

    assert_int_equal(fstat(a, &x), 0);
    assert_int_equal(fstat(b, &y), 0);
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void test_nothing_yet(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(varlink_stream_read(pair->stream), -EAGAIN);
    expect_none(pair);
    assert_false(varlink_stream_has_input(pair->stream));
}

static void test_byte_by_byte(void **state)
{
    static const char text[] = "{\"a\":\"\\u0000\"}";
    struct pair *pair = *state;
    struct varlink_message message;

    for (size_t i = 0; i < sizeof(text); i++) {
        expect_none(pair);
        peer_send(pair, text + i, 1, NULL, 0);
        assert_int_equal(varlink_stream_read(pair->stream), 1);
        assert_true(varlink_stream_has_input(pair->stream));
    }
    struct json_text_error error;
    /* A NUL inside a string is refused by the parser: the frame is whole, its content is not. */
    assert_int_equal(varlink_stream_next(pair->stream, &message, &error), -EINVAL);
    assert_false(varlink_stream_has_input(pair->stream));
}

static void test_many_in_one_read(void **state)
{
    static const char text[] = "{\"a\":1}\0{\"b\":2}\0{\"c\":";
    struct pair *pair = *state;
    struct varlink_message message;

    peer_send(pair, text, sizeof(text) - 1, NULL, 0);
    assert_int_equal(varlink_stream_read(pair->stream), 1);
    expect_message(pair, "a", 0, &message);
    varlink_message_deinit(&message);
    expect_message(pair, "b", 0, &message);
    varlink_message_deinit(&message);
    expect_none(pair);
    assert_true(varlink_stream_has_input(pair->stream));
    peer_send(pair, "3}", 3, NULL, 0);
    assert_int_equal(varlink_stream_read(pair->stream), 1);
    expect_message(pair, "c", 0, &message);
    varlink_message_deinit(&message);
}

/* One message without descriptors, one with, one without again, all sent before the first read:
 * the descriptor must come out with the second and only there. */
static void test_descriptors_of_pipelined_messages(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    AUTO_FD int file = memfd_create("test", MFD_CLOEXEC);
    int reads = 0;

    peer_send(pair, "{\"a\":1}", 8, NULL, 0);
    peer_send(pair, "{\"b\":2}", 8, &file, 1);
    peer_send(pair, "{\"c\":3}", 8, NULL, 0);
    while (varlink_stream_read(pair->stream) == 1)
        reads++;
    assert_in_range(reads, 2, 3);

    expect_message(pair, "a", 0, &message);
    varlink_message_deinit(&message);
    expect_message(pair, "b", 1, &message);
    assert_int_equal(varlink_message_take_fd(&message, 1), -ERANGE);
    assert_int_equal(varlink_message_take_fd(&message, -1), -ERANGE);
    int fd = varlink_message_take_fd(&message, 0);
    assert_true(fd >= 0);
    assert_true(same_file(fd, file));
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(varlink_message_take_fd(&message, 0), -ERANGE);
    varlink_message_deinit(&message);
    fd_close(fd);
    expect_message(pair, "c", 0, &message);
    varlink_message_deinit(&message);
}

/* The kernel hands descriptors over with the first piece of a long message. */
static void test_descriptors_of_a_long_message(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    AUTO_FD int file = memfd_create("test", MFD_CLOEXEC);
    char text[60000];
    int r;

    memset(text, ' ', sizeof(text));
    memcpy(text, "{\"a\":1", 6);
    text[sizeof(text) - 2] = '}';
    text[sizeof(text) - 1] = 0;
    peer_send(pair, "{\"z\":0}", 8, NULL, 0);
    peer_send(pair, text, sizeof(text), &file, 1);
    do
        r = varlink_stream_read(pair->stream);
    while (r == 1);
    assert_int_equal(r, -EAGAIN);
    expect_message(pair, "z", 0, &message);
    varlink_message_deinit(&message);
    expect_message(pair, "a", 1, &message);
    varlink_message_deinit(&message);
}

static void test_descriptors_of_a_bad_message_are_closed(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    struct json_text_error error;
    AUTO_FD int file = memfd_create("test", MFD_CLOEXEC);
    size_t before = descriptors_count();

    peer_send(pair, "[1,2]", 6, &file, 1);
    assert_int_equal(varlink_stream_read(pair->stream), 1);
    assert_int_equal(descriptors_count(), before + 1);
    assert_int_equal(varlink_stream_next(pair->stream, &message, &error), -EINVAL);
    assert_string_equal(error.path, "$");
    assert_int_equal(descriptors_count(), before);
}

static void test_descriptors_of_an_untaken_message_are_closed(void **state)
{
    struct pair *pair = *state;
    AUTO_FD int file = memfd_create("test", MFD_CLOEXEC);

    /* Two whole messages and a half one, each with a descriptor: teardown counts. */
    peer_send(pair, "{}", 3, &file, 1);
    peer_send(pair, "{}", 3, &file, 1);
    peer_send(pair, "{", 1, &file, 1);
    while (varlink_stream_read(pair->stream) == 1)
        ;
}

static void test_too_many_descriptors_for_one_message(void **state)
{
    struct pair *pair = *state;
    int file = memfd_create("test", MFD_CLOEXEC);
    int fds[WIRE_DESCRIPTORS_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = file;
    peer_send(pair, "{", 1, fds, ARRAY_SIZE(fds));
    assert_int_equal(varlink_stream_read(pair->stream), 1);
    peer_send(pair, "}", 2, fds, 1);
    assert_int_equal(varlink_stream_read(pair->stream), -EBADMSG);
    fd_close(file);
}

static void test_as_many_descriptors_as_allowed_twice(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    int file = memfd_create("test", MFD_CLOEXEC);
    int fds[WIRE_DESCRIPTORS_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = file;
    peer_send(pair, "{\"a\":1}", 8, fds, ARRAY_SIZE(fds));
    peer_send(pair, "{\"b\":1}", 8, fds, ARRAY_SIZE(fds));
    while (varlink_stream_read(pair->stream) == 1)
        ;
    expect_message(pair, "a", WIRE_DESCRIPTORS_MAX, &message);
    varlink_message_deinit(&message);
    expect_message(pair, "b", WIRE_DESCRIPTORS_MAX, &message);
    varlink_message_deinit(&message);
    fd_close(file);
}

static void test_greatest_message(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    char text[MESSAGE_MAX + 1];

    memset(text, ' ', sizeof(text));
    memcpy(text, "{\"a\":1}", 7);
    text[MESSAGE_MAX] = 0;
    peer_send(pair, text, sizeof(text), NULL, 0);
    while (varlink_stream_read(pair->stream) == 1)
        ;
    expect_message(pair, "a", 0, &message);
    varlink_message_deinit(&message);
    assert_false(varlink_stream_has_input(pair->stream));
}

static void test_over_the_greatest_message(void **state)
{
    struct pair *pair = *state;
    char text[MESSAGE_MAX + 1];
    int r;

    memset(text, ' ', sizeof(text));
    peer_send(pair, text, sizeof(text), NULL, 0);
    do
        r = varlink_stream_read(pair->stream);
    while (r == 1);
    assert_int_equal(r, -EMSGSIZE);
}

/* A reader that does not take its messages out is told so; then nothing is lost. */
static void test_full_of_whole_messages(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    struct json_text_error error;
    char text[MESSAGE_MAX + 16];
    size_t taken = 0;
    int r;

    for (size_t i = 0; i < sizeof(text); i += 8)
        memcpy(text + i, "{\"a\":1}", 8);
    peer_send(pair, text, sizeof(text), NULL, 0);
    do
        r = varlink_stream_read(pair->stream);
    while (r == 1);
    assert_int_equal(r, -ENOBUFS);
    for (;;) {
        while (varlink_stream_next(pair->stream, &message, &error) == 1) {
            varlink_message_deinit(&message);
            taken++;
        }
        if (varlink_stream_read(pair->stream) != 1)
            break;
    }
    assert_int_equal(taken, sizeof(text) / 8);
}

static void test_end_of_file(void **state)
{
    struct pair *pair = *state;

    peer_send(pair, "{\"half\"", 7, NULL, 0);
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
    assert_int_equal(varlink_stream_read(pair->stream), 1);
    assert_int_equal(varlink_stream_read(pair->stream), 0);
    assert_true(varlink_stream_has_input(pair->stream));
}

/* Three queued messages, the second with a descriptor, read back by another stream. */
static void test_output_keeps_descriptors_with_their_message(void **state)
{
    struct pair *pair = *state;
    struct varlink_stream *reader = varlink_stream_new(dup(pair->peer), MESSAGE_MAX);
    struct varlink_message message;
    struct json_text_error error;
    AUTO_FD int file = memfd_create("test", MFD_CLOEXEC);
    static const size_t expected[] = {0, 1, 0};

    for (int i = 0; i < 3; i++) {
        json_t *object = json_pack("{s:i}", "n", i);
        assert_int_equal(varlink_stream_queue(pair->stream, object, &file, expected[i]), 0);
        json_decref(object);
    }
    assert_int_equal(varlink_stream_pending_output(pair->stream), 3 * strlen("{\"n\":0}."));
    assert_int_equal(varlink_stream_flush(pair->stream), 1);
    assert_int_equal(varlink_stream_pending_output(pair->stream), 0);
    for (int i = 0; i < 3; i++) {
        while (varlink_stream_next(reader, &message, &error) == 0)
            assert_int_equal(varlink_stream_read(reader), 1);
        assert_int_equal(json_integer_value(json_object_get(message.json, "n")), i);
        assert_int_equal(message.n_fds, expected[i]);
        if (message.n_fds)
            assert_true(same_file(message.fds[0], file));
        varlink_message_deinit(&message);
    }
    varlink_stream_free(reader);
}

/* More than the socket takes: flush says so, goes on later, and the bytes are exact. */
static void test_output_in_pieces(void **state)
{
    struct pair *pair = *state;
    char *long_text = calloc(1, 1000001);
    char *received = calloc(1, 1000100);
    size_t size = 0;
    int r;

    memset(long_text, 'x', 1000000);
    json_t *object = json_pack("{s:s}", "a", long_text);
    assert_int_equal(varlink_stream_queue(pair->stream, object, NULL, 0), 0);
    assert_int_equal(varlink_stream_flush(pair->stream), 0);
    assert_in_range(varlink_stream_pending_output(pair->stream), 1, 1000008);
    do {
        ssize_t n = read(pair->peer, received + size, 1000100 - size);
        assert_true(n > 0);
        size += (size_t)n;
        r = varlink_stream_flush(pair->stream);
        assert_in_range(r, 0, 1);
    } while (size < strlen("{\"a\":\"\"}") + 1000000 + 1);
    assert_int_equal(r, 1);
    assert_int_equal(strlen(received), size - 1);
    assert_memory_equal(received + 6, long_text, 1000000);
    json_decref(object);
    free(long_text);
    free(received);
}

static void test_output_to_a_dead_peer(void **state)
{
    struct pair *pair = *state;
    AUTO_FD int file = memfd_create("test", MFD_CLOEXEC);
    json_t *object = json_object();

    pair->peer = fd_close(pair->peer);
    assert_int_equal(varlink_stream_queue(pair->stream, object, &file, 1), 0);
    assert_int_equal(varlink_stream_flush(pair->stream), -EPIPE);
    json_decref(object);
}

static void test_output_refuses_too_many_descriptors(void **state)
{
    struct pair *pair = *state;
    int fds[WIRE_DESCRIPTORS_MAX + 1] = {};
    json_t *object = json_object();

    assert_int_equal(varlink_stream_queue(pair->stream, object, fds, ARRAY_SIZE(fds)), -E2BIG);
    fds[1] = -EBADF;
    assert_int_equal(varlink_stream_queue(pair->stream, object, fds, 2), -EBADF);
    assert_int_equal(varlink_stream_pending_output(pair->stream), 0);
    json_decref(object);
}

/* -- who sends -- */

static int only_this_process(void *user, const struct ucred *sender)
{
    size_t *asked = user;

    (*asked)++;
    return sender->pid == getpid() && sender->uid == getuid() && sender->gid == getgid() ? 0
                                                                                         : -EPERM;
}

/* Another process sends, by the same socket. */
static void stranger_sends(struct pair *pair, const char *text, int fd)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(socket_send(pair->peer, text, strlen(text) + 1, &fd, fd >= 0) < 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_what_a_stranger_sends_is_no_part_of_a_message(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    size_t asked = 0;

    assert_int_equal(varlink_stream_check_senders(pair->stream, only_this_process, &asked), 0);
    peer_send(pair, "{\"a\":1}\0{\"b\":", 13, NULL, 0);
    stranger_sends(pair, "2}", STDIN_FILENO);
    peer_send(pair, "{\"c\":3}", 8, NULL, 0);
    /* What is there already is not read in one with what somebody else sent. */
    assert_int_equal(varlink_stream_read(pair->stream), 1);
    assert_int_equal(varlink_stream_read(pair->stream), -EPERM);
    assert_int_equal(asked, 2);
    expect_message(pair, "a", 0, &message);
    varlink_message_deinit(&message);
    expect_none(pair);
}

static void test_one_who_sends_alone_is_asked_at_each_read(void **state)
{
    struct pair *pair = *state;
    struct varlink_message message;
    size_t asked = 0;

    assert_int_equal(varlink_stream_check_senders(pair->stream, only_this_process, &asked), 0);
    for (size_t i = 1; i <= 3; i++) {
        peer_send(pair, "{\"a\":1}", 8, NULL, 0);
        assert_int_equal(varlink_stream_read(pair->stream), 1);
        assert_int_equal(asked, i);
        expect_message(pair, "a", 0, &message);
        varlink_message_deinit(&message);
    }
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
    assert_int_equal(varlink_stream_read(pair->stream), 0);
    assert_int_equal(asked, 3);
}

/* What was sent before SO_PASSCRED was set has no sender. */
static void test_what_has_no_sender_is_judged_too(void **state)
{
    struct pair *pair = *state;
    size_t asked = 0;

    peer_send(pair, "{\"a\":1}", 8, NULL, 0);
    assert_int_equal(varlink_stream_check_senders(pair->stream, only_this_process, &asked), 0);
    assert_int_equal(varlink_stream_read(pair->stream), -EPERM);
    assert_int_equal(asked, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_yet),
        TEST(test_byte_by_byte),
        TEST(test_many_in_one_read),
        TEST(test_descriptors_of_pipelined_messages),
        TEST(test_descriptors_of_a_long_message),
        TEST(test_descriptors_of_a_bad_message_are_closed),
        TEST(test_descriptors_of_an_untaken_message_are_closed),
        TEST(test_too_many_descriptors_for_one_message),
        TEST(test_as_many_descriptors_as_allowed_twice),
        TEST(test_greatest_message),
        TEST(test_over_the_greatest_message),
        TEST(test_full_of_whole_messages),
        TEST(test_end_of_file),
        TEST(test_output_keeps_descriptors_with_their_message),
        TEST(test_output_in_pieces),
        TEST(test_output_to_a_dead_peer),
        TEST(test_output_refuses_too_many_descriptors),
        TEST(test_what_a_stranger_sends_is_no_part_of_a_message),
        TEST(test_one_who_sends_alone_is_asked_at_each_read),
        TEST(test_what_has_no_sender_is_judged_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
