/* What an agent may be given to reach while it runs. */
#include "host-ceiling.h"

int host_ceiling_check(uid_t owner, enum host_list list, const char *text, struct host_pattern *ret,
                       const char **ret_why)
{
    return host_pattern_parse(text, ret, ret_why);
}
