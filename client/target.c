/* The agents that a command line names. */
#include "target.h"

#include "exit-status.h"
#include "owner.h"
#include "text.h"

int target_from_options(const struct options *options, const char *id, struct agent_name *ret)
{
    struct agent_name name = {.id = id, .owner_uid = AGENT_NONE};

    if (option_given(options, OPTION_OWNER) &&
        owner_from_string(options->owner, &name.owner_uid) < 0) {
        say("there is no user '%s'", options->owner);
        return STATUS_USAGE;
    }
    *ret = name;
    return STATUS_OK;
}
