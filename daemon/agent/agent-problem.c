/* Why an agent could not be started, or was lost. */
#include "agent/agent-problem.h"

#include <stdarg.h>
#include <stdio.h>

int agent_problem_set(struct agent_problem *problem, enum agent_failure failure, int error,
                      const char *step, const char *why_format, ...)
{
    va_list arguments;

    *problem = (struct agent_problem){.failure = failure, .error = -error};
    (void)snprintf(problem->step, sizeof(problem->step), "%s", step);
    va_start(arguments, why_format);
    (void)vsnprintf(problem->why, sizeof(problem->why), why_format, arguments);
    va_end(arguments);
    return error;
}
