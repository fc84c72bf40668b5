/* Why an agent ended: names both ways, and what outranks what. */
#include "unit-test.h"

#include "agent/end-reason.h"

#define EXIT(status) ((status) << 8)
#define SIGNAL(number) (number)

static void names_are_complete_and_unique(void **state)
{
    assert_null(end_reason_to_string(END_NONE));
    for (int i = END_NONE + 1; i < END_REASON_COUNT; i++) {
        assert_non_null(end_reason_to_string(i));
        assert_int_equal(end_reason_from_string(end_reason_to_string(i)), i);
    }
    assert_int_equal(end_reason_from_string("tired"), END_NONE);
    assert_int_equal(end_reason_from_string(""), END_NONE);
}

static void decides(void **state)
{
    static const struct {
        struct end_facts facts;
        enum end_reason expected;
    } cases[] = {
        {{.have_status = true, .status = EXIT(0)}, END_EXITED},
        {{.have_status = true, .status = EXIT(3)}, END_EXITED},
        {{.have_status = true, .status = SIGNAL(11)}, END_SIGNALED},
        {{.have_status = false}, END_FAILED},
        {{.have_status = true, .status = SIGNAL(9), .oom_kills = 1}, END_OUT_OF_MEMORY},
        {{.have_status = true, .status = EXIT(137), .oom_kills = 1}, END_OUT_OF_MEMORY},
        {{.have_status = false, .oom_kills = 1}, END_OUT_OF_MEMORY},
        {{.have_status = true, .status = EXIT(0), .oom_kills = 1}, END_EXITED},
        {{.have_status = true, .status = EXIT(1), .task_refusals = 4}, END_TASKS_LIMIT},
        {{.have_status = true, .status = EXIT(0), .task_refusals = 4}, END_EXITED},
        {{.have_status = true, .status = EXIT(1), .task_refusals = 4, .oom_kills = 1},
         END_OUT_OF_MEMORY},
        {{.requested = END_TTL, .have_status = true, .status = EXIT(0)}, END_TTL},
        {{.requested = END_KILLED, .have_status = false}, END_KILLED},
        {{.requested = END_STOPPED, .have_status = true, .status = SIGNAL(15)}, END_STOPPED},
        {{.requested = END_STOPPED, .have_status = true, .status = SIGNAL(9), .oom_kills = 1},
         END_STOPPED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(end_reason_decide(&cases[i].facts), cases[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_complete_and_unique),
        cmocka_unit_test(decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
