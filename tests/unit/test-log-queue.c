/* The queue between whoever logs and the log's writer: order, turns, who is told to wait and who to
 * go on, and who frees what. The writer's place is taken by a function that the test can stop. */
#include "unit-test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "caged-limits.h"
#include "log-queue.h"

#define TIMEOUT_USEC (20 * 1000000)
#define WRITTEN_MAX 200000

struct owner {
    struct log_share share;
    unsigned relieved, destroyed;
    uint64_t last; /* number of the record that was written last */
};

static struct log_queue *queue;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* whoever has it stops the writer */
static struct owner *written[WRITTEN_MAX];               /* whose records, in their order */
static size_t n_written;

static void write_record(const struct log_record *record)
{
    struct owner *owner = CONTAINER_OF(record->share, struct owner, share);

    (void)pthread_mutex_lock(&gate);
    if (record->sequence != owner->last + 1)
        abort();
    owner->last = record->sequence;
    if (n_written < WRITTEN_MAX)
        written[n_written++] = owner;
    (void)pthread_mutex_unlock(&gate);
}

static void stop_writer(void)
{
    (void)pthread_mutex_lock(&gate);
}

static void let_writer_go_on(void)
{
    (void)pthread_mutex_unlock(&gate);
}

static void on_relieved(struct log_share *share)
{
    CONTAINER_OF(share, struct owner, share)->relieved++;
}

static void on_destroy(struct log_share *share)
{
    CONTAINER_OF(share, struct owner, share)->destroyed++;
}

static int set_up(void **state)
{
    n_written = 0;
    return log_queue_new(write_record, &queue);
}

static int tear_down(void **state)
{
    return (int)log_queue_close(queue, TIMEOUT_USEC);
}

static void init(struct owner *owner)
{
    *owner = (struct owner){};
    log_share_init(&owner->share, queue, on_relieved, on_destroy);
}

static bool push(struct owner *owner, uint64_t number, size_t size)
{
    struct log_record *record = malloc(sizeof(*record) + size);

    assert_non_null(record);
    *record = (struct log_record){.sequence = number, .size = (uint32_t)size};
    if (log_share_push(&owner->share, record))
        return true;
    free(record);
    return false;
}

/* Until the queue has something to say, and then that. */
static void wait_and_dispatch(void)
{
    struct pollfd fd = {.fd = log_queue_fd(queue), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, TIMEOUT_USEC / 1000), 1);
    log_queue_dispatch(queue);
}

static void test_a_share_is_written_in_order(void **state)
{
    struct owner owner;

    init(&owner);
    for (uint64_t i = 1; i <= 1000; i++)
        assert_true(push(&owner, i, i % 50));
    log_share_leave(&owner.share);
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(n_written, 1000);
    assert_int_equal(owner.last, 1000);
    assert_int_equal(owner.destroyed, 1);
    assert_int_equal(set_up(NULL), 0);
}

/* Whichever shares they are in, and whatever comes after. */
static void test_a_mark_stands_for_what_was_queued_before_it(void **state)
{
    struct owner one, other;

    assert_true(log_queue_is_written(queue, log_queue_mark(queue)));
    init(&one);
    init(&other);
    stop_writer();
    assert_true(push(&one, 1, 10));
    assert_true(push(&other, 1, 10));
    uint64_t mark = log_queue_mark(queue);
    assert_true(push(&one, 2, 10));
    assert_false(log_queue_is_written(queue, mark));
    uint64_t later = log_queue_mark(queue);
    assert_true(later > mark);
    let_writer_go_on();
    while (!log_queue_is_written(queue, later))
        (void)sched_yield();
    assert_true(log_queue_is_written(queue, mark));
    (void)pthread_mutex_lock(&gate);
    assert_int_equal(n_written, 3);
    (void)pthread_mutex_unlock(&gate);
}

static void test_shares_take_turns(void **state)
{
    struct owner noisy, quiet;

    init(&noisy);
    init(&quiet);
    stop_writer();
    for (uint64_t i = 1; i <= 1000; i++)
        assert_true(push(&noisy, i, 100));
    assert_true(push(&quiet, 1, 100));
    let_writer_go_on();
    log_share_leave(&noisy.share);
    log_share_leave(&quiet.share);
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(n_written, 1001);
    size_t place = 0;
    while (written[place] != &quiet)
        place++;
    assert_in_range(place, 1, 100); /* not after the thousand */
    assert_int_equal(set_up(NULL), 0);
}

/* Else a user's long lines would hold up the others' short ones. */
static void test_large_records_get_no_longer_turns(void **state)
{
    enum { LARGE = 40, SMALL = 200 };
    struct owner large, small;

    init(&large);
    init(&small);
    stop_writer();
    for (uint64_t i = 1; i <= LARGE; i++)
        assert_true(push(&large, i, 50000));
    for (uint64_t i = 1; i <= SMALL; i++)
        assert_true(push(&small, i, 1000));
    let_writer_go_on();
    log_share_leave(&large.share);
    log_share_leave(&small.share);
    assert_int_equal(tear_down(NULL), 0);
    size_t n_large = 0, n_small = 0;
    for (size_t i = 0; n_small < SMALL; i++) {
        n_small += written[i] == &small;
        n_large += written[i] == &large;
    }
    assert_in_range(n_large, 4, 8); /* as many bytes */
    assert_int_equal(set_up(NULL), 0);
}

static void test_one_that_is_over_the_bound_is_told_when_half_is_written(void **state)
{
    struct owner owner;
    uint64_t n = 0;

    init(&owner);
    stop_writer();
    while (!log_share_is_over(&owner.share))
        assert_true(push(&owner, ++n, 1000));
    assert_in_range(n * 1000, LOG_UNSENT_PAUSE * 9 / 10, LOG_UNSENT_PAUSE);
    struct pollfd fd = {.fd = log_queue_fd(queue), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 0);
    let_writer_go_on();
    wait_and_dispatch();
    assert_int_equal(owner.relieved, 1);
    assert_false(log_share_is_over(&owner.share));
    assert_true(push(&owner, ++n, 1000));
    log_share_leave(&owner.share);
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(owner.relieved, 1);
    assert_int_equal(owner.last, n);
    assert_int_equal(set_up(NULL), 0);
}

static void test_a_full_share_takes_no_more_and_others_do(void **state)
{
    struct owner full, other;
    uint64_t n = 0;

    init(&full);
    init(&other);
    stop_writer();
    assert_true(log_share_has_room(&full.share));
    while (push(&full, n + 1, 10000))
        n++;
    assert_in_range(n * 10000, LOG_UNSENT_MAX * 9 / 10, LOG_UNSENT_MAX);
    assert_false(log_share_has_room(&full.share));
    assert_false(log_share_is_empty(&full.share));
    assert_true(push(&other, 1, 10000));
    let_writer_go_on();
    log_share_leave(&full.share);
    log_share_leave(&other.share);
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(full.last, n);
    assert_int_equal(other.last, 1);
    assert_int_equal(set_up(NULL), 0);
}

static void test_a_share_that_is_left_lives_until_it_is_written(void **state)
{
    struct owner owner;
    uint64_t n = 0;

    init(&owner);
    stop_writer();
    while (!log_share_is_over(&owner.share))
        assert_true(push(&owner, ++n, 1000));
    log_share_leave(&owner.share);
    assert_int_equal(owner.destroyed, 0);
    let_writer_go_on();
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(owner.destroyed, 1);
    assert_int_equal(owner.last, n);
    assert_int_equal(owner.relieved, 0);
    assert_int_equal(set_up(NULL), 0);

    init(&owner); /* nothing in it: at once */
    log_share_leave(&owner.share);
    assert_int_equal(owner.destroyed, 1);
}

static void test_who_left_is_not_called_any_more(void **state)
{
    struct owner owner, other;
    uint64_t n = 0;

    init(&owner);
    init(&other);
    stop_writer();
    while (!log_share_is_over(&owner.share))
        assert_true(push(&owner, ++n, 1000));
    let_writer_go_on();
    struct pollfd fd = {.fd = log_queue_fd(queue), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, TIMEOUT_USEC / 1000), 1);
    log_share_leave(&owner.share); /* between the word and its delivery */
    log_queue_dispatch(queue);
    log_share_leave(&other.share);
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(owner.relieved, 0);
    assert_int_equal(set_up(NULL), 0);
}

/* A flood with a pause whenever one is due, as the daemon does it. */
static void test_back_pressure_bounds_what_waits_and_loses_nothing(void **state)
{
    enum { RECORDS = 50000, SHARES = 3 };
    struct owner owners[SHARES];

    for (size_t i = 0; i < SHARES; i++)
        init(&owners[i]);
    for (uint64_t n = 1; n <= RECORDS; n++) {
        for (size_t i = 0; i < SHARES; i++) {
            while (log_share_is_over(&owners[i].share))
                wait_and_dispatch();
            assert_true(push(&owners[i], n, 200 * i));
        }
    }
    for (size_t i = 0; i < SHARES; i++)
        log_share_leave(&owners[i].share);
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(n_written, RECORDS * SHARES);
    for (size_t i = 0; i < SHARES; i++) {
        assert_int_equal(owners[i].last, RECORDS);
        assert_int_equal(owners[i].destroyed, 1);
    }
    assert_int_equal(set_up(NULL), 0);
}

/* Last: the thread stays. */
/* The gate is where the writer says that it waits, and that it goes on. */
static void write_held(const struct log_record *record)
{
    log_queue_set_held(record->share->queue, ENOSPC);
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    log_queue_set_held(record->share->queue, 0);
}

static void test_the_owner_is_told_why_the_writer_waits(void **state)
{
    struct owner owner;

    assert_int_equal(log_queue_new(write_held, &queue), 0);
    init(&owner);
    assert_int_equal(log_queue_held(queue), 0);
    stop_writer();
    assert_true(push(&owner, 1, 10));
    wait_and_dispatch();
    assert_int_equal(log_queue_held(queue), ENOSPC);
    let_writer_go_on();
    wait_and_dispatch();
    assert_int_equal(log_queue_held(queue), 0);
    while (!log_share_is_empty(&owner.share)) /* the owner is gone with this function */
        (void)sched_yield();
    log_share_leave(&owner.share);
}

static void test_closing_does_not_wait_for_ever(void **state)
{
    static struct owner owner;

    init(&owner);
    stop_writer();
    assert_true(push(&owner, 1, 10));
    assert_true(push(&owner, 2, 10));
    assert_int_equal(log_queue_close(queue, 10000), 2);
}

#define QUEUE_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(test_a_share_is_written_in_order),
        QUEUE_TEST(test_a_mark_stands_for_what_was_queued_before_it),
        QUEUE_TEST(test_shares_take_turns),
        QUEUE_TEST(test_large_records_get_no_longer_turns),
        QUEUE_TEST(test_one_that_is_over_the_bound_is_told_when_half_is_written),
        QUEUE_TEST(test_a_full_share_takes_no_more_and_others_do),
        QUEUE_TEST(test_a_share_that_is_left_lives_until_it_is_written),
        QUEUE_TEST(test_who_left_is_not_called_any_more),
        QUEUE_TEST(test_back_pressure_bounds_what_waits_and_loses_nothing),
        cmocka_unit_test_teardown(test_the_owner_is_told_why_the_writer_waits, tear_down),
        cmocka_unit_test_setup(test_closing_does_not_wait_for_ever, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
