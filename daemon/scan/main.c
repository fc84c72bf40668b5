/* caged-scan: looks for files that an agent planted in its workspace; common/scan-proto.h is the
 * contract. cagedd starts it as root, in new namespaces and in the agent's cgroup, when the last
 * process of the cage is gone. It gives everything up before it looks at the first name
 * (confine.c), and what it says is checked by cagedd like an agent's word: the names are the
 * agent's. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

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

/* What caged-init wrote; false if that is no list. */
static bool take_protected(struct walk_options *options)
{
    ssize_t n = pread(SCAN_FD_PROTECTED, options->protected, sizeof(options->protected), 0);

    if (n < 0 || (size_t)n % sizeof(options->protected[0]) != 0)
        return false;
    options->n_protected = (size_t)n / sizeof(options->protected[0]);
    return close(SCAN_FD_PROTECTED) == 0;
}

int main(int argc, char **argv)
{
    static struct walk_options options;
    unsigned long long uid, gid, seconds, nanoseconds;
    const unsigned long long last_id = (unsigned long long)UINT32_MAX - 1;

    if (argc != 5 || !take_number(argv[1], last_id, &uid) || !take_number(argv[2], last_id, &gid) ||
        !take_number(argv[3], LONG_MAX, &seconds) ||
        !take_number(argv[4], 999999999, &nanoseconds) || uid == 0 || gid == 0)
        _exit(2);
    if (!take_protected(&options) || confine_enter(SCAN_FD_WORKSPACE, (uid_t)uid, (gid_t)gid) < 0)
        _exit(1);
    options.since = (struct timespec){(time_t)seconds, (long)nanoseconds};
    _exit(output_end(walk(&options)) ? 0 : 1);
}
