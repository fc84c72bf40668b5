/* User namespaces that nobody lives in: made for their map alone, and held by a descriptor. */
#pragma once

#include <stdint.h>

/* `count` ids from `inside` on are `outside` and upwards in the namespace of the caller. */
struct id_map {
    uint32_t inside;
    uint32_t outside;
    uint32_t count;
};

/* A new user namespace with these maps; the descriptor is the caller's. Needs a procfs of the
 * caller's pid namespace at ./proc and CAP_SETUID, CAP_SETGID, CAP_SYS_ADMIN. -errno. */
int userns_new(const struct id_map *uids, const struct id_map *gids);
