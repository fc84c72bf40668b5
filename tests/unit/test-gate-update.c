/* daemon/gate/update: an update in parts, what is no update, and what may follow what. */
#include "unit-test.h"

#include "caged-limits.h"
#include "daemon/gate/update.h"
#include "gate-proto.h"
#include "records.h"

struct settings {
    const char *agent_id, *allow, *parent, *forward;
    uint64_t uid;
    const char *private, *deny;
    uint64_t ask;
    bool transparent;
};

static const struct settings usual = {"tester", "a.example", "http://u:p@10.0.0.1:3128",
                                      "127.0.0.1:80", 3000000};

static void encode(const struct settings *s, struct records_writer *w)
{
    *w = (struct records_writer){};
    (void)records_put_u64(w, GATE_CONFIG_VERSION_NUMBER, GATE_CONFIG_VERSION);
    (void)records_put_string(w, GATE_CONFIG_AGENT_ID, s->agent_id);
    (void)records_put_u64(w, GATE_CONFIG_UID, s->uid);
    (void)records_put_string(w, GATE_CONFIG_ALLOW, s->allow);
    if (s->parent)
        (void)records_put_string(w, GATE_CONFIG_PARENT_PROXY, s->parent);
    if (s->forward)
        (void)records_put_string(w, GATE_CONFIG_FORWARD, s->forward);
    if (s->private)
        (void)records_put_string(w, GATE_CONFIG_PRIVATE, s->private);
    if (s->deny)
        (void)records_put_string(w, GATE_CONFIG_DENY, s->deny);
    if (s->ask)
        (void)records_put_u64(w, GATE_CONFIG_ASK, s->ask);
    if (s->transparent)
        (void)records_put(w, GATE_CONFIG_TRANSPARENT, NULL, 0);
    assert_int_equal(w->error, 0);
}

/* One record as a message. */
static int take(struct update *update, uint16_t type, const void *value, size_t size,
                struct gate_config **ret, const char **ret_why)
{
    struct records_writer w = {};
    assert_int_equal(records_put(&w, type, value, size), 0);
    int r = update_take(update, w.data, w.size, ret, ret_why);
    records_writer_deinit(&w);
    return r;
}

static int begin(struct update *update, uint64_t size)
{
    struct gate_config *config = NULL;
    const char *why = NULL;
    int r = take(update, GATE_ORDER_UPDATE, &size, sizeof(size), &config, &why);
    assert_null(config);
    assert_int_equal(why != NULL, r == -EBADMSG);
    return r;
}

static int part(struct update *update, const void *data, size_t size)
{
    struct gate_config *config = NULL;
    const char *why = NULL;
    int r = take(update, GATE_ORDER_PART, data, size, &config, &why);
    assert_int_equal(config != NULL, r == 1);
    assert_int_equal(why != NULL, r == -EBADMSG);
    gate_config_free(config);
    return r;
}

static void test_parts_of_every_size_make_a_configuration(void **state)
{
    struct update update = {};
    struct records_writer w;

    encode(&usual, &w);
    for (size_t size = 1; size <= w.size; size++) {
        assert_int_equal(begin(&update, w.size), 0);
        for (size_t at = 0; at < w.size; at += size) {
            size_t n = MIN_OF(size, w.size - at);
            assert_int_equal(part(&update, w.data + at, n), at + n == w.size);
        }
        assert_null(update.data); /* ready for the next */
    }
    records_writer_deinit(&w);
}

static void test_what_is_no_update_is_refused(void **state)
{
    struct update update = {};
    struct gate_config *config = NULL;
    const char *why = NULL;
    struct records_writer w;

    encode(&usual, &w);
    assert_int_equal(part(&update, "x", 1), -EBADMSG); /* none began */
    assert_int_equal(begin(&update, 0), -EBADMSG);
    assert_int_equal(begin(&update, SPEC_SIZE_MAX + 1), -EBADMSG);
    assert_int_equal(begin(&update, UINT64_MAX), -EBADMSG);
    assert_int_equal(take(&update, GATE_ORDER_UPDATE, "1234", 4, &config, &why), -EBADMSG);
    assert_int_equal(take(&update, 99, "", 0, &config, &why), -EBADMSG);
    assert_int_equal(update_take(&update, "x", 1, &config, &why), -EBADMSG);
    assert_int_equal(update_take(&update, "", 0, &config, &why), -EBADMSG);

    static const size_t wrong[] = {0, 1000000}; /* an empty part, one that is too long */
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char *data = calloc(1, wrong[i] + 1);
        assert_int_equal(begin(&update, w.size), 0);
        assert_int_equal(part(&update, data, wrong[i]), -EBADMSG);
        assert_null(update.data);
        free(data);
    }
    assert_int_equal(begin(&update, w.size), 0);
    assert_int_equal(begin(&update, w.size), -EBADMSG); /* inside another */
    assert_null(update.data);

    assert_int_equal(begin(&update, w.size - 1), 0); /* whole, and not whole records */
    assert_int_equal(part(&update, w.data, w.size - 1), -EBADMSG);
    assert_null(update.data);
    records_writer_deinit(&w);
}

static void test_lists_that_are_none_are_refused(void **state)
{
    static const struct settings bad[] = {
        {"t", "a.example;x=y", NULL, NULL, 1, NULL, NULL},
        {"t", "a.example", NULL, NULL, 1, "10.0.0.1", NULL},
        {"t", "a.example", NULL, NULL, 1, "a.example:80", NULL},
        {"t", "a.example", NULL, NULL, 1, "a.example:*", NULL},
        {"t", "a.example", NULL, NULL, 1, "a.example;sni=any", NULL},
        {"t", "a.example", NULL, NULL, 1, NULL, "a.example;sni=any"},
        {"t", "a.example", NULL, NULL, 1, NULL, "*"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct gate_config *config = NULL;
        struct records_writer w;
        const char *why = NULL;
        encode(&bad[i], &w);
        assert_int_equal(gate_config_parse(w.data, w.size, &config, &why), -EBADMSG);
        assert_non_null(why);
        assert_null(config);
        records_writer_deinit(&w);
    }
}

static void test_only_the_lists_may_change(void **state)
{
    struct settings next[] = {usual, usual, usual, usual, usual, usual, usual, usual, usual, usual};
    static const char *const why[] = {NULL,     "agent",    "uid",      "parent",      "parent",
                                      "parent", "forwards", "forwards", "transparent", "ask"};
    struct gate_config *now = NULL;
    struct records_writer w;
    const char *fault;

    next[0].allow = "*.other.example:*;sni=any";
    next[0].private = "*.lan.example";
    next[0].deny = "10.0.0.0/8";
    next[1].agent_id = "another";
    next[2].uid++;
    next[3].parent = "http://u:q@10.0.0.1:3128";
    next[4].parent = "http://u:p@10.0.0.1:3129";
    next[5].parent = NULL;
    next[6].forward = "127.0.0.1:81";
    next[7].forward = NULL;
    next[8].transparent = true;
    next[9].ask = 60;
    encode(&usual, &w);
    assert_int_equal(gate_config_parse(w.data, w.size, &now, &fault), 0);
    records_writer_deinit(&w);
    for (size_t i = 0; i < ARRAY_SIZE(next); i++) {
        struct gate_config *config = NULL;
        encode(&next[i], &w);
        assert_int_equal(gate_config_parse(w.data, w.size, &config, &fault), 0);
        fault = update_fault(now, config);
        if (why[i])
            assert_non_null(strstr(fault, why[i]));
        else
            assert_null(fault);
        gate_config_free(config);
        records_writer_deinit(&w);
    }
    gate_config_free(now);
}

static void test_the_time_to_ask_is_bounded(void **state)
{
    static const uint64_t wrong[] = {GATE_ASK_MAX + 1, UINT64_MAX};
    struct settings settings = usual;
    struct gate_config *config = NULL;
    struct records_writer w;
    const char *why;

    settings.ask = GATE_ASK_MAX;
    encode(&settings, &w);
    assert_int_equal(gate_config_parse(w.data, w.size, &config, &why), 0);
    assert_int_equal(config->ask_seconds, GATE_ASK_MAX);
    gate_config_free(config);
    (void)records_put_u64(&w, GATE_CONFIG_ASK, 1);
    assert_int_equal(gate_config_parse(w.data, w.size, &config, &why), -EBADMSG);
    records_writer_deinit(&w);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        settings.ask = wrong[i];
        encode(&settings, &w);
        assert_int_equal(gate_config_parse(w.data, w.size, &config, &why), -EBADMSG);
        assert_non_null(strstr(why, "time to ask"));
        records_writer_deinit(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_time_to_ask_is_bounded),
        cmocka_unit_test(test_parts_of_every_size_make_a_configuration),
        cmocka_unit_test(test_what_is_no_update_is_refused),
        cmocka_unit_test(test_lists_that_are_none_are_refused),
        cmocka_unit_test(test_only_the_lists_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
