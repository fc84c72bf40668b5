/* Files with a secret that a request's descriptors stand for. */
#pragma once

#include "util.h"

/* Reads a key from a descriptor: a regular file, one line of printable ASCII, API_KEY_SIZE_MAX at
 * most, white space around it removed. *ret is the caller's: secret_free(). -EINVAL or -EPERM with
 * *ret_why. */
int api_key_read(int fd, char **ret, char **ret_why);

/* The same for user:password of a proxy (RFC 7617): PROXY_AUTH_SIZE_MAX at most, with spaces inside
 * if it has any. */
int proxy_auth_read(int fd, char **ret, char **ret_why);

/* Overwrites and frees. */
char *secret_free(char *secret);
DEFINE_CLEANUP(char, secret_free);
