/* daemon/agent/agent-state.c: the names of an agent's states, both ways. */
#include "unit-test.h"

#include <errno.h>

#include "agent/agent-state.h"

static void names_are_complete_and_unique(void **state)
{
    enum agent_state found = AGENT_STATE_COUNT;

    for (int i = 0; i < AGENT_STATE_COUNT; i++) {
        assert_non_null(agent_state_to_string(i));
        assert_int_equal(agent_state_from_string(agent_state_to_string(i), &found), 0);
        assert_int_equal(found, i);
    }
    found = AGENT_STATE_COUNT;
    assert_int_equal(agent_state_from_string("tired", &found), -EINVAL);
    assert_int_equal(agent_state_from_string("", &found), -EINVAL);
    assert_int_equal(found, AGENT_STATE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_complete_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
