/* How a request that was allowed ended, where it was not by a refusal after all (refusal.h): one
 * table of stable codes. Pure. */
#pragma once

enum end_code {
    END_CLOSED,      /* both sides had said all */
    END_CLIENT_GONE, /* the agent cut it, or did not take any more */
    END_SERVER_GONE, /* the server cut it */
    END_CUT,         /* other hosts are in force, which do not allow it */
    END_GATE_ENDED,
    END_CODE_COUNT,
};

const char *end_code_to_string(enum end_code code); /* "closed" */
