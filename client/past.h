/* What an agent put out before now, from the journal alone. These tell about failures and return
 * the exit status, or -errno. */
#pragma once

#include "show.h"

struct past {
    const char *invocation_id; /* NULL: all runs */
    const char *since, *until; /* NULL: no bound */
    uint64_t lines;            /* the last of them; AGENT_NONE: all */
};

int past_show(struct show *show, const struct past *past);

/* The run that put out the last line of all; the buffer is left empty if there is none, or no
 * journal. */
int past_find_last_run(const struct follow *follow, char invocation_id[INVOCATION_ID_LENGTH + 1]);
