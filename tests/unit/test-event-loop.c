/* The gate's loop: what a source waits for is what it hears, whatever the kernel was told; and its
 * heap of timers. */
#include "unit-test.h"

#include <sys/socket.h>

#include "daemon/gate/event-loop.h"
#include "util.h"

struct ear {
    struct event_source source;
    struct event_loop *loop;
    int other; /* end of the pair */
    unsigned heard;
    uint32_t last;
    struct ear *victim; /* is forgotten when this one hears something */
};

static void hear(struct event_source *source, uint32_t events)
{
    struct ear *ear = CONTAINER_OF(source, struct ear, source);

    ear->heard++;
    ear->last = events;
    if (ear->victim)
        event_source_forget(ear->loop, &ear->victim->source);
}

static void ear_begin(struct ear *ear, struct event_loop *loop)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *ear = (struct ear){.source = {.fd = pair[0], .ready = hear}, .loop = loop, .other = pair[1]};
}

static void ear_end(struct ear *ear)
{
    event_source_remove(ear->loop, &ear->source);
    fd_close(ear->source.fd);
    fd_close(ear->other);
}

static struct event_loop *stopped;

static void stop(struct timer *timer)
{
    event_loop_stop(stopped, 0);
}

/* All that is ready now, several times over: long enough for what is told too often to show. */
static void run(struct event_loop *loop)
{
    struct timer timer = {.expired = stop};

    stopped = loop;
    for (int i = 0; i < 5; i++) {
        loop->stop = false;
        timer_set(loop, &timer, 0);
        assert_int_equal(event_loop_run(loop), 0);
    }
}

static void say(const struct ear *ear)
{
    assert_int_equal(send(ear->other, "x", 1, MSG_NOSIGNAL), 1);
}

static void test_input_that_is_not_wanted_is_not_heard_until_it_is(void **state)
{
    struct event_loop loop;
    struct ear ear;

    assert_int_equal(event_loop_init(&loop, 1), 0);
    ear_begin(&ear, &loop);
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLIN), 0);
    assert_int_equal(event_source_set(&loop, &ear.source, 0), 0);
    assert_int_equal(ear.source.told, EPOLLIN); /* nothing came that would be a reason */
    say(&ear);
    run(&loop);
    assert_int_equal(ear.heard, 0);
    assert_int_equal(ear.source.told, 0); /* the kernel does not say it again and again */
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLIN), 0);
    run(&loop);
    assert_int_equal(ear.heard, 5);
    assert_int_equal(ear.last, EPOLLIN);
    ear_end(&ear);
    event_loop_deinit(&loop);
}

static void test_what_is_wanted_anew_is_heard(void **state)
{
    struct event_loop loop;
    struct ear ear;

    assert_int_equal(event_loop_init(&loop, 1), 0);
    ear_begin(&ear, &loop);
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLIN), 0);
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLOUT), 0);
    run(&loop);
    assert_int_equal(ear.last, EPOLLOUT);
    say(&ear);
    run(&loop);
    assert_int_equal(ear.last, EPOLLOUT);
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLIN | EPOLLOUT), 0);
    run(&loop);
    assert_int_equal(ear.last, EPOLLIN | EPOLLOUT);
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLOUT), 0);
    run(&loop);
    assert_int_equal(ear.last, EPOLLOUT);
    ear_end(&ear);
    event_loop_deinit(&loop);
}

static void test_death_is_heard_by_who_wants_nothing(void **state)
{
    struct event_loop loop;
    struct ear ear;

    assert_int_equal(event_loop_init(&loop, 1), 0);
    ear_begin(&ear, &loop);
    assert_int_equal(event_source_set(&loop, &ear.source, EPOLLIN), 0);
    assert_int_equal(event_source_set(&loop, &ear.source, 0), 0);
    ear.other = fd_close(ear.other);
    run(&loop);
    assert_true(ear.heard > 0);
    assert_int_equal(ear.last, EPOLLHUP);
    ear_end(&ear);
    event_loop_deinit(&loop);
}

/* Both are ready in the same turn; who comes first forgets the other. */
static void test_who_was_forgotten_hears_nothing_more(void **state)
{
    struct event_loop loop;
    struct ear ears[2];

    assert_int_equal(event_loop_init(&loop, 1), 0);
    for (int i = 0; i < 2; i++) {
        ear_begin(&ears[i], &loop);
        assert_int_equal(event_source_set(&loop, &ears[i].source, EPOLLIN), 0);
        say(&ears[i]);
    }
    ears[0].victim = &ears[1];
    ears[1].victim = &ears[0];
    stopped = &loop;
    struct timer timer = {.expired = stop};
    timer_set(&loop, &timer, 0);
    assert_int_equal(event_loop_run(&loop), 0);
    assert_int_equal(ears[0].heard + ears[1].heard, 1);
    for (int i = 0; i < 2; i++) {
        (void)epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, ears[i].source.fd, NULL);
        ear_end(&ears[i]);
    }
    event_loop_deinit(&loop);
}

/* -- timers -- */

static void heap_check(const struct event_loop *loop)
{
    for (size_t i = 1; i <= loop->n_timers; i++) {
        assert_int_equal(loop->heap[i - 1]->position, i);
        assert_true(i == 1 || loop->heap[i / 2 - 1]->deadline <= loop->heap[i - 1]->deadline);
    }
}

static void test_timers(void **state)
{
    enum { COUNT = 200 };
    static struct timer timers[COUNT];
    struct event_loop loop;
    unsigned seed = 1;

    assert_int_equal(event_loop_init(&loop, COUNT), 0);
    for (int i = 0; i < 20000; i++) {
        struct timer *timer = &timers[(unsigned)rand_r(&seed) % COUNT];
        if (rand_r(&seed) % 3 == 0)
            timer_clear(&loop, timer);
        else
            timer_set(&loop, timer, (uint64_t)rand_r(&seed) % 100000);
        heap_check(&loop);
    }
    size_t set = 0;
    for (int i = 0; i < COUNT; i++)
        set += timers[i].position != 0;
    assert_int_equal(set, loop.n_timers);
    event_loop_deinit(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input_that_is_not_wanted_is_not_heard_until_it_is),
        cmocka_unit_test(test_what_is_wanted_anew_is_heard),
        cmocka_unit_test(test_death_is_heard_by_who_wants_nothing),
        cmocka_unit_test(test_who_was_forgotten_hears_nothing_more),
        cmocka_unit_test(test_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
