/* Users by name and by number, as this host knows them (nsswitch.conf(5)). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A user's name or uid in decimal. 0 or -EINVAL if there is no such user. */
int owner_from_string(const char *text, uint64_t *ret_uid);

/* A user with an account, and its primary group. 0, -ENOENT if there is none, or -errno of a
 * look-up that failed, maybe only now. */
int owner_find(const char *text, uint64_t *ret_uid, uint64_t *ret_gid);

/* The user's name, or the number where it has none. */
void owner_format(uint64_t uid, char *buffer, size_t size);
