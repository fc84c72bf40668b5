/* seccomp profiles: from the JSON form of OCI and Docker to the program that the kernel runs. */
#pragma once

#include <stddef.h>

/* Compiles a profile for this machine. Keys are those of the OCI runtime specification and
 * Docker's `archMap`; the actions are SCMP_ACT_ALLOW and SCMP_ACT_ERRNO, since runtimes probe and a
 * refused call must answer. Of the entries of `syscalls` the *first* that matches a call decides;
 * what no entry matches gets `defaultAction`. Names that libseccomp does not know are passed over:
 * they stay with the default, which can only refuse.
 *
 * 0 with a sealed memfd of struct sock_filter[] in native order (the caller's) and the number of
 * instructions. -EINVAL for a profile that is not one, another -errno if it can't be read; *ret_why
 * is then a sentence (free), or NULL (-ENOMEM). */
int seccomp_profile_compile(const char *path, int *ret_memfd, size_t *ret_instructions,
                            char **ret_why);
