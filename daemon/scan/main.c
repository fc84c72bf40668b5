/* caged-scan: looks for files that an agent planted in its workspace; common/scan-proto.h is the
 * contract. cagedd starts it as root, in new namespaces and in the agent's cgroup, when the last
 * process of the cage is gone. It gives everything up before it looks at the first name
 * (confine.c), and what it says is checked by cagedd like an agent's word: the names are the
 * agent's. */
#include <limits.h>
#include <stdlib.h>

#include "confine.h"
#include "output.h"
#include "util.h"
#include "walk.h"

/* A decimal number up to `maximum`; false for anything else. */
static bool take_number(const char *text, unsigned long long maximum, unsigned long long *ret)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret <= maximum;
}

int main(int argc, char **argv)
{
    unsigned long long uid, gid, seconds, nanoseconds, is_protected;
    const unsigned long long last_id = (unsigned long long)UINT32_MAX - 1;

    if (argc != 6 || !take_number(argv[1], last_id, &uid) || !take_number(argv[2], last_id, &gid) ||
        !take_number(argv[3], LONG_MAX, &seconds) ||
        !take_number(argv[4], 999999999, &nanoseconds) || !take_number(argv[5], 1, &is_protected) ||
        uid == 0 || gid == 0)
        _exit(2);
    if (confine_enter(SCAN_FD_WORKSPACE, (uid_t)uid, (gid_t)gid) < 0)
        _exit(1);
    const struct walk_options options = {
        .since = {(time_t)seconds, (long)nanoseconds},
        .is_protected = is_protected,
    };
    _exit(output_end(walk(&options)) ? 0 : 1);
}
