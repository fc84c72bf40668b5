/* One direction of a connection between real TCP sockets: what is copied and what is spliced, slow
 * readers, ends and resets, and that nothing of one flow is ever found in another. */
#include "unit-test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "daemon/gate/pipe-pool.h"
#include "daemon/gate/relay.h"
#include "util.h"

#define MUCH ((size_t)24 * 1024 * 1024)

/* writer --> flow.from   flow.to --> reader */
struct scene {
    int writer, reader;
    struct relay_flow flow;
    size_t sent, received;
};

static unsigned char byte_at(size_t position, unsigned seed)
{
    return (unsigned char)(position * 2654435761u >> 13 ^ seed);
}

static void tcp_pair(int ret[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t size = sizeof(address);
    AUTO_FD int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ret[0], (struct sockaddr *)&address, size), 0);
    ret[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(ret[1] >= 0);
    assert_int_equal(fcntl(ret[0], F_SETFL, O_NONBLOCK), 0);
}

static void scene_begin(struct scene *s)
{
    int from[2], to[2];

    tcp_pair(from);
    tcp_pair(to);
    *s = (struct scene){.writer = from[0], .reader = to[0]};
    s->flow = (struct relay_flow){.from = from[1], .to = to[1]};
}

static void scene_end(struct scene *s)
{
    int from = s->flow.from, to = s->flow.to;

    relay_flow_deinit(&s->flow);
    fd_close(from);
    fd_close(to);
    fd_close(s->writer);
    fd_close(s->reader);
}

static void await(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    assert_int_equal(poll(&wait, 1, 10000), 1);
}

/* Writes what fits, up to `total`. */
static void feed(struct scene *s, size_t total, unsigned seed)
{
    static unsigned char data[256 * 1024];

    while (s->sent < total) {
        size_t size = MIN_OF(sizeof(data), total - s->sent);
        for (size_t i = 0; i < size; i++)
            data[i] = byte_at(s->sent + i, seed);
        ssize_t n = send(s->writer, data, size, MSG_NOSIGNAL);
        if (n < 0)
            return;
        s->sent += (size_t)n;
    }
}

/* Reads what is there, and sees that it is what was written. False at the end of file. */
static bool check(struct scene *s, unsigned seed)
{
    static unsigned char data[256 * 1024];
    ssize_t n;

    while ((n = recv(s->reader, data, sizeof(data), 0)) > 0) {
        for (size_t i = 0; i < (size_t)n; i++)
            if (data[i] != byte_at(s->received + i, seed))
                fail_msg("byte %zu is another", s->received + i);
        s->received += (size_t)n;
    }
    return n < 0;
}

/* Fills everything up to where nothing moves, while nobody reads. */
static void fill(struct scene *s, unsigned seed)
{
    for (size_t before = SIZE_MAX; s->sent != before || !relay_flow_wants_write(&s->flow);) {
        before = s->sent;
        feed(s, SIZE_MAX, seed);
        assert_int_equal(relay_flow_run(&s->flow), 0);
    }
}

static void test_bulk_passes_whole_and_is_counted(void **state)
{
    struct scene s;
    bool spliced = false;

    scene_begin(&s);
    while (s.received < MUCH) {
        feed(&s, MUCH, 7);
        assert_int_equal(relay_flow_run(&s.flow), 0);
        spliced = spliced || s.flow.bulk.on;
        (void)check(&s, 7);
    }
    assert_true(spliced);
    assert_int_equal(s.flow.bytes, MUCH);
    assert_int_equal(s.flow.bulk.inside, 0);
    scene_end(&s);
}

static void test_little_is_copied_again(void **state)
{
    struct scene s;

    scene_begin(&s);
    while (!s.flow.bulk.on) {
        feed(&s, SIZE_MAX, 1);
        assert_int_equal(relay_flow_run(&s.flow), 0);
    }
    while (s.received < s.sent) {
        assert_int_equal(relay_flow_run(&s.flow), 0);
        (void)check(&s, 1);
    }
    for (int i = 0; i < 2; i++) {
        size_t total = s.sent + 100;
        feed(&s, total, 1);
        await(s.flow.from, POLLIN);
        assert_int_equal(relay_flow_run(&s.flow), 0);
        await(s.reader, POLLIN);
        assert_true(check(&s, 1));
        assert_int_equal(s.received, total);
    }
    assert_false(s.flow.bulk.on);
    scene_end(&s);
}

/* While the reader takes nothing, one pipe or buffer is filled and no more is read. */
static void test_a_slow_reader_slows_its_writer(void **state)
{
    struct scene s;

    scene_begin(&s);
    fill(&s, 3);
    assert_true(s.flow.bulk.inside > 0);
    assert_false(relay_flow_wants_read(&s.flow));
    assert_true(s.flow.bulk.inside <= GATE_PIPE_SIZE);
    assert_int_equal(shutdown(s.writer, SHUT_WR), 0);
    while (check(&s, 3))
        assert_int_equal(relay_flow_run(&s.flow), 0);
    assert_int_equal(s.received, s.sent); /* its end comes behind all that waited */
    assert_true(s.flow.shut);
    assert_int_equal(s.flow.bytes, s.sent);
    scene_end(&s);
}

static void test_what_waits_is_found_in_no_other_flow(void **state)
{
    struct scene s, next;

    for (int i = 0; i < 3; i++) {
        scene_begin(&s);
        fill(&s, 5);
        assert_true(s.flow.bulk.inside > 0);
        if (i == 1)
            relay_flow_abandon(&s.flow);
        scene_end(&s);
        scene_begin(&next);
        while (next.received < MUCH / 4) {
            feed(&next, MUCH / 4, 9);
            assert_int_equal(relay_flow_run(&next.flow), 0);
            (void)check(&next, 9);
        }
        scene_end(&next);
    }
}

static void test_a_reset_reader_is_noticed(void **state)
{
    const struct linger linger = {.l_onoff = 1};
    struct scene s;

    scene_begin(&s);
    fill(&s, 2);
    assert_true(s.flow.bulk.inside > 0);
    (void)setsockopt(s.reader, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    s.reader = fd_close(s.reader);
    await(s.flow.to, POLLOUT);
    assert_int_equal(relay_flow_run(&s.flow), RELAY_WRITE_FAILED);
    assert_true(s.flow.reset);
    scene_end(&s);
}

static void test_a_reset_writer_is_noticed_behind_its_bytes(void **state)
{
    const struct linger linger = {.l_onoff = 1};
    struct scene s;
    int r;

    scene_begin(&s);
    while (!s.flow.bulk.on) {
        feed(&s, SIZE_MAX, 4);
        assert_int_equal(relay_flow_run(&s.flow), 0);
    }
    (void)setsockopt(s.writer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    s.writer = fd_close(s.writer);
    while ((r = relay_flow_run(&s.flow)) == 0)
        (void)check(&s, 4);
    assert_int_equal(r, RELAY_READ_FAILED);
    assert_int_equal(s.flow.bulk.inside, 0);
    scene_end(&s);
}

static void test_without_a_pipe_it_is_copied(void **state)
{
    int pipes[GATE_PIPES_MAX][2], more[2];
    struct scene s;

    for (size_t i = 0; i < GATE_PIPES_MAX; i++)
        assert_int_equal(pipe_pool_take(pipes[i]), 0);
    assert_int_equal(pipe_pool_take(more), -EAGAIN);
    scene_begin(&s);
    while (s.received < MUCH / 4) {
        feed(&s, MUCH / 4, 6);
        assert_int_equal(relay_flow_run(&s.flow), 0);
        assert_int_equal(s.flow.bulk.inside, 0);
        (void)check(&s, 6);
    }
    assert_int_equal(s.flow.bytes, MUCH / 4);
    scene_end(&s);
    for (size_t i = 0; i < GATE_PIPES_MAX; i++)
        pipe_pool_give(pipes[i], true);
    pipe_pool_deinit();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_passes_whole_and_is_counted),
        cmocka_unit_test(test_little_is_copied_again),
        cmocka_unit_test(test_a_slow_reader_slows_its_writer),
        cmocka_unit_test(test_what_waits_is_found_in_no_other_flow),
        cmocka_unit_test(test_a_reset_reader_is_noticed),
        cmocka_unit_test(test_a_reset_writer_is_noticed_behind_its_bytes),
        cmocka_unit_test(test_without_a_pipe_it_is_copied),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as the gate does: splice(2) knows no MSG_NOSIGNAL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
