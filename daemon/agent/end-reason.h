/* Why an agent ended: decided once, from all that is known when its last process is gone. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The names stand in io.caged.varlink (type Reason). */
enum end_reason {
    END_NONE, /* it has not ended, or nobody has asked it to */
    END_EXITED,
    END_SIGNALED,
    END_OUT_OF_MEMORY,
    END_TASKS_LIMIT,
    END_TTL,
    END_STOPPED,
    END_KILLED,
    END_CLIENT_GONE,
    END_FAILED,
    END_SHUTDOWN,
    END_REASON_COUNT,
};

/* NULL for END_NONE. */
const char *end_reason_to_string(enum end_reason reason);
enum end_reason end_reason_from_string(const char *name); /* END_NONE if there is no such reason */

struct end_facts {
    enum end_reason requested; /* what we did to end it, or END_NONE */
    bool have_status;          /* caged-init reported the agent's own status */
    int status;                /* as waitpid(2) gives it */
    uint64_t oom_kills;
    uint64_t task_refusals;
};

/* What we did outranks what we saw; a limit of the kernel outranks the status that it led to, but
 * an agent that ended well in spite of it simply exited. */
enum end_reason end_reason_decide(const struct end_facts *facts);
