/* Whether this kernel has what cages are made of: asked once, at start. */
#pragma once

/* 0, -ENOTSUP with *ret_why (the caller's) naming the first thing that is missing and the kernel
 * that brought it, or -ENOMEM. Changes nothing. cgroups are cgroup_host_init's. */
int host_check(char **ret_why);
