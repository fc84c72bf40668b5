/* What an agent may be given to reach while it runs. */
#include "host-ceiling.h"

#include <errno.h>

int host_ceiling_check(uid_t owner, enum host_list list, const char *text, struct host_pattern *ret,
                       const char **ret_why)
{
    struct host_pattern pattern;
    int r = host_pattern_parse(text, &pattern, ret_why);

    if (r < 0)
        return r;
    if (list == HOST_LIST_DENIED && host_pattern_has_options(&pattern)) {
        *ret_why = "an entry of denied_hosts has no options";
        return -EINVAL;
    }
    *ret = pattern;
    return 0;
}
