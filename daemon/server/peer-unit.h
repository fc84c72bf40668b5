/* The systemd service that a peer is in, for an agent to be put there too: which one it is says the
 * kernel, that it may be given away says systemd's mark on its folder. */
#pragma once

#include "cgroup/cgroup.h"
#include "server/peer.h"

struct peer_unit {
    char *name;              /* "caged-agent@alpha.service" */
    struct cgroup_host host; /* its folder, in the place of the daemon's own */
};

#define PEER_UNIT_INIT ((struct peer_unit){.host.lock_fd = -EBADF})

/* Finds the unit of the process at the other end of a connection and checks that an agent can be
 * put into it: the peer is root and sits in a leaf below the unit's folder, which is root's and
 * delegated (Delegate=, systemd.resource-control(5)). 0 with *ret for peer_unit_deinit(); -EPERM,
 * -ENOTSUP with *ret_why (the caller's), or another -errno. */
int peer_unit_find(int socket, const struct peer *peer, const struct cgroup_host *host,
                   struct peer_unit *ret, char **ret_why);
void peer_unit_deinit(struct peer_unit *unit);
