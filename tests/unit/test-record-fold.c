/* daemon/gate/record-fold: floods of records are added up, and none is missing in the sums. */
#include "unit-test.h"

#include <stdio.h>

#include "daemon/gate/record-fold.h"
#include "util.h"

static struct network_record decision(enum gate_verdict verdict, const char *host)
{
    return (struct network_record){
        .verdict = verdict,
        .request = 7,
        .method = "GET",
        .host = host,
        .port = 80,
        .address = "1.2.3.4",
        .rule = "*",
        .reason = refusal_code(verdict == GATE_REFUSED ? REFUSAL_HOST_NOT_ALLOWED : REFUSAL_NONE),
        .status = 403,
        .count = 1,
    };
}

static struct network_record end_of(const char *host, enum end_code code, uint64_t bytes)
{
    struct network_record r = decision(GATE_ALLOWED, host);

    r.end = true;
    r.reason = end_code_to_string(code);
    r.bytes_up = bytes;
    r.bytes_down = 2 * bytes;
    r.duration_usec = 3 * bytes;
    return r;
}

/* What a drain hands on. */
struct sums {
    struct network_record records[GATE_RECORDS_FOLDED_MAX + 200];
    char hosts[GATE_RECORDS_FOLDED_MAX + 200][64];
    size_t n;
    uint64_t count, bytes_up, bytes_down, duration;
    size_t fail_at; /* 0: never */
};

static int take(void *user, const struct network_record *r)
{
    struct sums *s = user;

    if (s->n + 1 == s->fail_at)
        return -ENOMEM;
    (void)snprintf(s->hosts[s->n], sizeof(s->hosts[0]), "%s", r->host);
    s->records[s->n++] = *r;
    s->count += r->count;
    s->bytes_up += r->bytes_up;
    s->bytes_down += r->bytes_down;
    s->duration += r->duration_usec;
    return 0;
}

static void test_the_rate(void **state)
{
    struct record_fold fold;
    struct network_record allowed = decision(GATE_ALLOWED, "a"), end = end_of("a", END_CLOSED, 1);
    struct network_record refused = decision(GATE_REFUSED, "a"), held = decision(GATE_HELD, "a");
    uint64_t now = 5000;

    record_fold_init(&fold, now);
    for (int i = 0; i < GATE_RECORDS_BURST; i++)
        assert_true(record_fold_lets(&fold, i % 2 ? &allowed : &end, now, false));
    assert_false(record_fold_lets(&fold, &allowed, now, false));
    assert_false(record_fold_lets(&fold, &end, now, false));
    /* Refusals have a bucket of their own, and what is held needs none. */
    for (int i = 0; i < GATE_RECORDS_BURST; i++)
        assert_true(record_fold_lets(&fold, &refused, now, false));
    assert_false(record_fold_lets(&fold, &refused, now, false));
    assert_true(record_fold_lets(&fold, &held, now, false));

    int n = 0;
    for (int i = 0; i < 10000; i++, now++)
        n += record_fold_lets(&fold, &refused, now, false);
    assert_in_range(n, 10 * GATE_RECORDS_PER_SECOND - 1, 10 * GATE_RECORDS_PER_SECOND);
    /* The other one has filled meanwhile, and no further than to its brim. */
    now += UINT64_C(1) << 60;
    n = 0;
    while (record_fold_lets(&fold, &allowed, now, false))
        n++;
    assert_int_equal(n, GATE_RECORDS_BURST);
    record_fold_deinit(&fold);
}

static void test_where_there_is_no_room_only_what_is_held_goes_out(void **state)
{
    struct record_fold fold;
    struct network_record allowed = decision(GATE_ALLOWED, "a"), held = decision(GATE_HELD, "a");

    record_fold_init(&fold, 0);
    assert_false(record_fold_lets(&fold, &allowed, 0, true));
    assert_true(record_fold_lets(&fold, &held, 0, true));
    allowed.awaited = true; /* what became of one that was held */
    assert_true(record_fold_lets(&fold, &allowed, 0, true));
    record_fold_deinit(&fold);
}

static void test_what_is_alike_is_added_up(void **state)
{
    struct record_fold fold;
    struct sums s = {0};
    char host[] = "a.example"; /* of a connection that is freed */

    record_fold_init(&fold, 0);
    assert_true(record_fold_is_empty(&fold));
    for (uint64_t i = 1; i <= 1000; i++) {
        struct network_record r = end_of(host, END_CLOSED, i);
        r.request = i;
        record_fold_add(&fold, &r);
    }
    struct network_record once = end_of(host, END_CUT, 1);
    record_fold_add(&fold, &once);
    memset(host, 'x', sizeof(host) - 1);
    assert_int_equal(record_fold_drain(&fold, take, &s), 0);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.hosts[0], "a.example");
    assert_int_equal(s.records[0].count, 1000);
    assert_int_equal(s.records[0].request, 0);
    assert_int_equal(s.records[0].bytes_up, 500500);
    assert_int_equal(s.records[0].bytes_down, 1001000);
    assert_int_equal(s.records[0].duration_usec, 1501500);
    assert_int_equal(s.records[1].count, 1);
    assert_int_equal(s.records[1].request, 7); /* it stands for itself */
    assert_true(record_fold_is_empty(&fold));

    once = end_of("a.example", END_CUT, 1); /* as the last one: no sum is there any more */
    record_fold_add(&fold, &once);
    assert_int_equal(record_fold_drain(&fold, take, &s), 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.records[2].count, 1);
    record_fold_deinit(&fold);
}

static void test_what_differs_is_kept_apart(void **state)
{
    struct record_fold fold;
    struct sums s = {0};
    struct network_record r[8];

    record_fold_init(&fold, 0);
    for (size_t i = 0; i < ARRAY_SIZE(r); i++)
        r[i] = decision(GATE_REFUSED, "a");
    r[1].host = "b";
    r[2].port = 81;
    r[3].method = "PUT";
    r[4].address = "1.2.3.5";
    r[5].rule = "";
    r[6].reason = refusal_code(REFUSAL_DIAL_FAILED);
    r[7] = end_of("a", END_CLOSED, 0);
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < ARRAY_SIZE(r); k++)
            record_fold_add(&fold, &r[k]);
    assert_int_equal(record_fold_drain(&fold, take, &s), 0);
    assert_int_equal(s.n, ARRAY_SIZE(r));
    for (size_t i = 0; i < s.n; i++)
        assert_int_equal(s.records[i].count, 3);
    record_fold_deinit(&fold);
}

static void test_a_full_table_keeps_verdict_and_reason(void **state)
{
    enum { HOSTS = 10 * GATE_RECORDS_FOLDED_MAX };
    struct record_fold fold;
    struct sums s = {0};
    char host[64];

    record_fold_init(&fold, 0);
    for (int i = 0; i < HOSTS; i++) {
        (void)snprintf(host, sizeof(host), "host-%d.example", i);
        struct network_record r = decision(i % 2 ? GATE_REFUSED : GATE_ALLOWED, host);
        record_fold_add(&fold, &r);
        r = end_of(host, END_CLOSED, 1);
        record_fold_add(&fold, &r);
    }
    /* Every code there is. */
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        struct network_record r = decision(GATE_REFUSED, "x");
        r.reason = refusal_code((enum refusal)i);
        record_fold_add(&fold, &r);
        r.end = true;
        record_fold_add(&fold, &r);
    }
    for (int i = 0; i < END_CODE_COUNT; i++) {
        struct network_record r = end_of("x", (enum end_code)i, 0);
        record_fold_add(&fold, &r);
    }
    assert_int_equal(record_fold_drain(&fold, take, &s), 0);
    assert_int_equal(s.count, 2 * HOSTS + 2 * REFUSAL_COUNT + END_CODE_COUNT);
    assert_int_equal(s.bytes_up, HOSTS);
    assert_true(s.n > GATE_RECORDS_FOLDED_MAX && s.n <= ARRAY_SIZE(s.records));
    for (size_t i = GATE_RECORDS_FOLDED_MAX; i < s.n; i++) {
        assert_string_equal(s.hosts[i], "");
        assert_int_equal(s.records[i].port, 0);
        for (size_t k = GATE_RECORDS_FOLDED_MAX; k < i; k++)
            assert_false(s.records[k].end == s.records[i].end &&
                         s.records[k].verdict == s.records[i].verdict &&
                         streq(s.records[k].reason, s.records[i].reason));
    }
    record_fold_deinit(&fold);
}

/* Names that are refused cost an agent nothing: they must not take the places of those that it
 * reached. */
static void test_a_flood_of_refused_names_hides_none_that_was_allowed(void **state)
{
    struct record_fold fold;
    struct sums s = {0};
    char host[64];
    size_t found = 0;

    record_fold_init(&fold, 0);
    for (int i = 0; i < 10 * GATE_RECORDS_FOLDED_MAX; i++) {
        (void)snprintf(host, sizeof(host), "host-%d.example", i);
        struct network_record r = decision(GATE_REFUSED, host);
        record_fold_add(&fold, &r);
    }
    struct network_record allowed = decision(GATE_ALLOWED, "reached.example");
    struct network_record end = end_of("reached.example", END_CLOSED, 1000);
    record_fold_add(&fold, &allowed);
    record_fold_add(&fold, &end);
    assert_int_equal(record_fold_drain(&fold, take, &s), 0);
    for (size_t i = 0; i < s.n; i++)
        found += streq(s.hosts[i], "reached.example");
    assert_int_equal(found, 2);
    record_fold_deinit(&fold);
}

/* What the contract has room for, and no more: cagedd takes nothing else. */
static void test_sums_stop_at_the_contracts_bounds(void **state)
{
    struct record_fold fold;
    struct sums s = {0};
    struct network_record r = end_of("a", END_CLOSED, INT64_MAX / 4);

    r.count = UINT32_MAX - 1;
    record_fold_init(&fold, 0);
    for (int i = 0; i < 9; i++)
        record_fold_add(&fold, &r);
    assert_int_equal(record_fold_drain(&fold, take, &s), 0);
    assert_int_equal(s.records[0].count, UINT32_MAX);
    assert_int_equal(s.records[0].bytes_up, INT64_MAX);
    assert_int_equal(s.records[0].bytes_down, INT64_MAX);
    record_fold_deinit(&fold);
}

static void test_a_failure_ends_the_drain(void **state)
{
    struct record_fold fold;
    struct sums s = {.fail_at = 2};
    struct network_record a = decision(GATE_REFUSED, "a"), b = decision(GATE_REFUSED, "b");

    record_fold_init(&fold, 0);
    record_fold_add(&fold, &a);
    record_fold_add(&fold, &b);
    assert_int_equal(record_fold_drain(&fold, take, &s), -ENOMEM);
    assert_int_equal(s.n, 1);
    record_fold_add(&fold, &a);
    record_fold_deinit(&fold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rate),
        cmocka_unit_test(test_where_there_is_no_room_only_what_is_held_goes_out),
        cmocka_unit_test(test_what_is_alike_is_added_up),
        cmocka_unit_test(test_what_differs_is_kept_apart),
        cmocka_unit_test(test_a_full_table_keeps_verdict_and_reason),
        cmocka_unit_test(test_a_flood_of_refused_names_hides_none_that_was_allowed),
        cmocka_unit_test(test_sums_stop_at_the_contracts_bounds),
        cmocka_unit_test(test_a_failure_ends_the_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
