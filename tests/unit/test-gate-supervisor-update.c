/* daemon/network/gate-supervisor with updates for a gate, which may have been taken over
 * (scripted-gate.h): none runs on by an older configuration. And a gate that is held: nothing of it
 * is heard. */
#include "gate-scene.h"

#include "caged-limits.h"
#include "fd-io.h"

#define UPDATE_BIG (400 * 1024) /* more than a socket takes at once */
#define MISBEHAVED "it sent a message that it never should;it was killed;"

/* -- updates -- */

/* A configuration of so many bytes or a few more; a gate that starts with it sends nothing and
 * stays. *ret_sum is what a gate answers that was sent it. */
static int update_of(size_t size, uint8_t filler, uint64_t *ret_sum)
{
    struct records_writer w = {0};
    uint8_t *data = malloc(size);
    uint64_t sum = 0;

    memset(data, filler, size);
    assert_int_equal(records_put(&w, SCRIPT_FILLER, data, size), 0);
    for (size_t i = 0; i < w.size; i++)
        sum += w.data[i];
    *ret_sum = sum % SCRIPT_SUM_MODULUS;
    int fd = memfd_new_sealed("update", w.data, w.size);
    assert_true(fd >= 0);
    records_writer_deinit(&w);
    free(data);
    return fd;
}

static void scene_until_updated(struct scene *scene, uint64_t update)
{
    for (int i = 0; i < SCENE_STEPS_MAX && !gate_supervisor_is_updated(scene->gate, update); i++)
        scene_step(scene);
    assert_true(gate_supervisor_is_updated(scene->gate, update));
}

static void test_an_update_comes_whole_whatever_its_size(void **state)
{
    static const size_t sizes[] = {1, 3491, 3492, 3493, 100000, UPDATE_BIG};
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    script_add_updated(&script, SCRIPT_ANSWER, UINT64_MAX);
    scene_begin_ready(&scene, &script, &seen);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint64_t update =
            gate_supervisor_update(scene.gate, update_of(sizes[i], (uint8_t)(i + 1), &sum));
        assert_int_equal(update, i + 1);
        assert_false(gate_supervisor_is_updated(scene.gate, update));
        scene_until_updated(&scene, update);
        assert_int_equal(seen.updated, i + 1);
        assert_int_equal(seen.n_ended[i], sum);
    }
    assert_string_equal(seen.failures, "");
    scene_end(&scene);
}

static void test_without_a_gate_an_update_is_in_force_at_once(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    script_add_failed(&script, "the old script"); /* which no gate gets to see */
    scene_begin(&scene, &script, &seen);
    script_add_ready(&script);
    script_add_decision(&script, "a.example");
    uint64_t first = gate_supervisor_update(scene.gate, update_of(1, 1, &sum));
    uint64_t update =
        gate_supervisor_update(scene.gate, memfd_new_sealed("script", script.data, script.size));
    records_writer_deinit(&script);
    assert_true(gate_supervisor_is_updated(scene.gate, first));
    assert_true(gate_supervisor_is_updated(scene.gate, update));
    assert_false(gate_supervisor_is_updated(scene.gate, update + 1));
    for (int i = 0; i < SCENE_STEPS_MAX && seen.decided == 0; i++)
        scene_step(&scene);
    assert_int_equal(seen.decided, 1);
    assert_string_equal(seen.failures, "");
    assert_int_equal(seen.updated, 0);
    scene_end(&scene);
}

static void test_only_the_newest_of_many_updates_is_sent(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t first_sum, sum, update = 0;

    script_add_updated(&script, SCRIPT_ANSWER, UINT64_MAX);
    scene_begin_ready(&scene, &script, &seen);
    uint64_t first = gate_supervisor_update(scene.gate, update_of(UPDATE_BIG, 1, &first_sum));
    for (int i = 0; i < 100; i++)
        update = gate_supervisor_update(scene.gate, update_of(1000, (uint8_t)i, &sum));
    scene_until_updated(&scene, update); /* both answers may come in one step */
    assert_int_equal(seen.updated, 2);
    assert_int_equal(seen.in_force[0], first);
    assert_int_equal(seen.n_ended[0], first_sum);
    assert_int_equal(seen.in_force[1], update);
    assert_int_equal(seen.n_ended[1], sum);
    scene_end(&scene);
}

/* What a gate may do to an update that is not to take it. */
static void run_update(struct records_writer *script, size_t size, struct seen *seen,
                       const char *failures)
{
    struct scene scene;
    uint64_t sum;

    scene_begin_ready(&scene, script, seen);
    uint64_t update = gate_supervisor_update(scene.gate, update_of(size, 1, &sum));
    scene_until_updated(&scene, update);
    for (int i = 0; i < SCENE_STEPS_MAX && !seen->died; i++)
        scene_step(&scene);
    assert_string_equal(seen->failures, failures);
    assert_int_equal(seen->updated, 0);
    scene_end(&scene);
}

static void test_a_gate_that_does_not_take_an_update_dies(void **state)
{
    struct records_writer script = {0}, failed = {0};
    struct seen seen;

    script_add_failed(&failed, "no memory for it");
    struct records_reader reader = {.data = failed.data, .size = failed.size};
    struct record message;
    assert_int_equal(records_next(&reader, &message), 1);
    assert_int_equal(records_put(&script, SCRIPT_ANSWER, message.value, message.size), 0);
    records_writer_deinit(&failed);
    run_update(&script, 10, &seen, "no memory for it;it was killed;");

    script_add_updated(&script, SCRIPT_RETORT, 0); /* before it can have all of it */
    run_update(&script, UPDATE_BIG, &seen, MISBEHAVED);
    script_add_updated(&script, SCRIPT_ANSWER, GATE_CONNECTIONS_MAX + GATE_REFUSING_MAX + 1);
    run_update(&script, 10, &seen, MISBEHAVED);
    assert_int_equal(records_put(&script, SCRIPT_FILLER, "", 1), 0); /* silence */
    run_update(&script, UPDATE_BIG, &seen, "it did not take an update in time;it was killed;");
}

static void test_an_answer_that_nobody_asked_for(void **state)
{
    struct records_writer script = {0};
    struct seen seen;

    script_add_ready(&script);
    script_add_updated(&script, SCRIPT_MESSAGE, 0);
    scene_run(&script, 0, &seen);
    assert_string_equal(seen.failures, MISBEHAVED);
    assert_int_equal(seen.updated, 0);
}

static void test_a_stop_in_the_middle_of_an_update(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    assert_int_equal(records_put(&script, SCRIPT_FILLER, "", 1), 0);
    scene_begin_ready(&scene, &script, &seen);
    (void)gate_supervisor_update(scene.gate, update_of(UPDATE_BIG, 1, &sum));
    scene_end(&scene);
    assert_int_equal(seen.updated, 0);
}

/* -- holds -- */

/* Runs the loop until nothing has come for a while. */
static void until_silence(struct scene *scene)
{
    int r;

    do
        r = sd_event_run(scene->event, 300000);
    while (r > 0);
    assert_int_equal(r, 0);
}

static void until_started(struct scene *scene)
{
    for (int i = 0; i < SCENE_STEPS_MAX && gate_supervisor_pid(scene->gate) == 0; i++)
        scene_step(scene);
    assert_true(gate_supervisor_pid(scene->gate) > 0);
}

/* A gate that is held is not started, and not heard; then what it said meanwhile is all there. */
static void test_a_hold(void **state)
{
    enum { DECISIONS = 200 };
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;

    script_add_ready(&script);
    for (int i = 0; i < DECISIONS; i++)
        script_add_decision(&script, "a.example");
    scene_begin(&scene, &script, &seen);
    gate_supervisor_hold(scene.gate, true);
    until_silence(&scene);
    assert_int_equal(gate_supervisor_pid(scene.gate), 0);

    gate_supervisor_hold(scene.gate, false);
    until_started(&scene);
    gate_supervisor_hold(scene.gate, true);
    until_silence(&scene);
    assert_int_equal(seen.decided, 0);

    gate_supervisor_hold(scene.gate, false);
    while (seen.decided < DECISIONS)
        scene_step(&scene);
    assert_string_equal(seen.failures, "");
    scene_end(&scene);
    assert_int_equal(seen.decided, DECISIONS);
}

static void test_a_stop_ends_a_hold(void **state)
{
    enum { DECISIONS = 1000 }; /* more than the socket holds */
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;

    script_add_ready(&script);
    for (int i = 0; i < DECISIONS; i++)
        script_add_decision(&script, "a.example");
    scene_begin(&scene, &script, &seen);
    until_started(&scene);
    gate_supervisor_hold(scene.gate, true);
    until_silence(&scene);
    scene_end(&scene);
    assert_int_equal(seen.decided, DECISIONS);
}

/* Nor can it be told of an update, since its answer would not be heard; one that is under way is.
 */
static void test_an_update_waits_for_the_end_of_a_hold(void **state)
{
    struct records_writer script = {0};
    struct scene scene;
    struct seen seen;
    uint64_t sum;

    script_add_updated(&script, SCRIPT_ANSWER, UINT64_MAX);
    scene_begin_ready(&scene, &script, &seen);
    uint64_t first = gate_supervisor_update(scene.gate, update_of(UPDATE_BIG, 1, &sum));
    gate_supervisor_hold(scene.gate, true);
    uint64_t second = gate_supervisor_update(scene.gate, update_of(10, 2, &sum));
    scene_until_updated(&scene, first);
    until_silence(&scene);
    assert_false(gate_supervisor_is_updated(scene.gate, second));
    gate_supervisor_hold(scene.gate, false);
    scene_until_updated(&scene, second);
    assert_int_equal(seen.updated, 2);
    assert_int_equal(seen.n_ended[1], sum);
    assert_string_equal(seen.failures, "");
    scene_end(&scene);
}

int main(int argc, char **argv)
{
    if (scripted_gate_is_called(argv))
        return scripted_gate_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_update_comes_whole_whatever_its_size),
        cmocka_unit_test(test_without_a_gate_an_update_is_in_force_at_once),
        cmocka_unit_test(test_only_the_newest_of_many_updates_is_sent),
        cmocka_unit_test(test_a_gate_that_does_not_take_an_update_dies),
        cmocka_unit_test(test_an_answer_that_nobody_asked_for),
        cmocka_unit_test(test_a_stop_in_the_middle_of_an_update),
        cmocka_unit_test(test_a_hold),
        cmocka_unit_test(test_a_stop_ends_a_hold),
        cmocka_unit_test(test_an_update_waits_for_the_end_of_a_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
