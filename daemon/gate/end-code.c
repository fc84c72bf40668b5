/* The table of ends. */
#include "end-code.h"

#include "util.h"

static const char *const names[] = {
    [END_CLOSED] = "closed", [END_CLIENT_GONE] = "client-gone", [END_SERVER_GONE] = "server-gone",
    [END_CUT] = "cut",       [END_GATE_ENDED] = "gate-ended",
};
_Static_assert(ARRAY_SIZE(names) == END_CODE_COUNT, "an end has no name");

const char *end_code_to_string(enum end_code code)
{
    return names[code];
}
