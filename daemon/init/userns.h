/* User namespaces that nobody lives in: made for their map alone, and held by a descriptor. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* `count` ids from `inside` on are `outside` and upwards in the namespace of the caller. */
struct id_map {
    uint32_t inside;
    uint32_t outside;
    uint32_t count;
};

/* The ids of a namespace: up to ID_MAPS_MAX ranges that do not overlap. */
#define ID_MAPS_MAX 2
struct id_maps {
    struct id_map maps[ID_MAPS_MAX];
    size_t count;
};

/* A new user namespace with these maps; the descriptor is the caller's. Needs a procfs of the
 * caller's pid namespace at ./proc and CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_SYS_ADMIN,
 * CAP_SYS_PTRACE. -errno.
 *
 * `owner` is the host's uid that makes it: what the kernel counts for each user (inotify instances,
 * pending signals, locked memory, message queues) it counts in the namespace and for the maker as
 * well (kernel/ucount.c). Were that root, one cage could use up what the host's own root, and with
 * it every other cage, has. Nobody may run as `owner` on the host, since it has every capability in
 * the namespace (user_namespaces(7)). */
int userns_new(uid_t owner, const struct id_maps *uids, const struct id_maps *gids);
