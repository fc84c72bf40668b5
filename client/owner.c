/* Users by name and by number. */
#include "owner.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>

#include "util.h"

int owner_from_string(const char *text, uint64_t *ret_uid)
{
    const struct passwd *user = getpwnam(text);
    char *end;

    if (user) {
        *ret_uid = user->pw_uid;
        return 0;
    }
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long uid = strtoul(text, &end, 10);
    if (errno || *end || uid >= UINT32_MAX) /* (uid_t)-1 is no user */
        return -EINVAL;
    *ret_uid = uid;
    return 0;
}

/* getpwnam(3) lists what else it may set where there simply is no such user. */
static bool is_not_found(int error)
{
    return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

int owner_find(const char *text, uint64_t *ret_uid, uint64_t *ret_gid)
{
    const struct passwd *user;
    uint64_t uid;

    errno = 0;
    user = getpwnam(text);
    if (!user && is_not_found(errno) && owner_from_string(text, &uid) == 0) {
        errno = 0;
        user = getpwuid((uid_t)uid);
    }
    if (!user)
        return is_not_found(errno) ? -ENOENT : -errno;
    *ret_uid = user->pw_uid;
    *ret_gid = user->pw_gid;
    return 0;
}

void owner_format(uint64_t uid, char *buffer, size_t size)
{
    const struct passwd *user = uid < UINT32_MAX ? getpwuid((uid_t)uid) : NULL;

    if (user)
        (void)snprintf(buffer, size, "%s", user->pw_name);
    else
        (void)snprintf(buffer, size, "%" PRIu64, uid);
}
