/* Giving up capabilities; the contract stands in the header. */
#include "capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "util.h"

/* The kernel says EINVAL after the last capability that it knows. */
int capabilities_drop_bounding_set(void)
{
    for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
        ;
    return errno == EINVAL ? 0 : negative_errno();
}

/* Ambient first: none may be in it that is not permitted. */
int capabilities_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        return negative_errno();
    return 0;
}
