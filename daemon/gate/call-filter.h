/* Which system calls a gate may make, and with which arguments: a seccomp filter (seccomp(2)). */
#pragma once

/* Loads it for this process, for good. Descriptors from `first_own_fd` on are the gate's own; those
 * below are inherited, and their sockets are one with cagedd's. Needs no_new_privs. 0 or -errno. */
int call_filter_load(unsigned first_own_fd);
