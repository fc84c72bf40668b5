/* Why an agent ended. */
#include "agent/end-reason.h"

#include <sys/wait.h>

#include "util.h"

static const char *const names[END_REASON_COUNT] = {
    [END_EXITED] = "exited",
    [END_SIGNALED] = "signaled",
    [END_OUT_OF_MEMORY] = "out_of_memory",
    [END_TASKS_LIMIT] = "tasks_limit",
    [END_TTL] = "ttl",
    [END_STOPPED] = "stopped",
    [END_KILLED] = "killed",
    [END_CLIENT_GONE] = "client_gone",
    [END_FAILED] = "failed",
    [END_SHUTDOWN] = "shutdown",
};

const char *end_reason_to_string(enum end_reason reason)
{
    return names[reason];
}

enum end_reason end_reason_from_string(const char *name)
{
    for (int i = END_NONE + 1; i < END_REASON_COUNT; i++)
        if (streq(names[i], name))
            return i;
    return END_NONE;
}

enum end_reason end_reason_decide(const struct end_facts *facts)
{
    if (facts->requested != END_NONE)
        return facts->requested;
    if (facts->have_status && WIFEXITED(facts->status) && WEXITSTATUS(facts->status) == 0)
        return END_EXITED;
    if (facts->oom_kills > 0)
        return END_OUT_OF_MEMORY;
    if (facts->task_refusals > 0)
        return END_TASKS_LIMIT;
    if (!facts->have_status)
        return END_FAILED;
    return WIFSIGNALED(facts->status) ? END_SIGNALED : END_EXITED;
}
