/* Where on the host a peer is. Who is in a container, a sandbox or a cage that somebody locked it
 * into has that user's uid for the kernel, and must not get out by having the daemon start an
 * agent; and a user must not count as several by subordinate uids. */
#pragma once

#include <sys/types.h>

#include "cgroup/cgroup.h"
#include "server/peer.h"
#include "server/subordinate-uids.h"

enum peer_place {
    PEER_PLACE_HOST,    /* where the daemon is itself */
    PEER_PLACE_UNKNOWN, /* gone, or it cannot be asked for */
    PEER_PLACE_CAGE,    /* one of caged's own, of another daemon's, or a container's of nspawn */
    PEER_PLACE_SUBORDINATE, /* a uid of subuid(5) */
    PEER_PLACE_USER_NAMESPACE,
    PEER_PLACE_PID_NAMESPACE,
    PEER_PLACE_COUNT,
};

/* What a process is held against. */
struct peer_places {
    struct {
        dev_t device;
        ino_t inode;
    } user, pid;        /* the daemon's own namespaces, by namespaces(7) */
    const char *cgroup; /* the folder of cages in the v2 hierarchy, borrowed; NULL: none */
    struct subordinate_uids subordinates;
};

/* `cgroups` must stay. 0 or -errno. */
int peer_places_init(struct peer_places *places, const struct cgroup_host *cgroups);
void peer_places_deinit(struct peer_places *places);

/* Where the process is that made the connection, by its pidfd (peer_open_pidfd()), which may be
 * negative: then it is not known. Before Linux 6.5 this is the process that has its number now:
 * another one if it ended, its number was used again, and its connection lives on. */
enum peer_place peer_place_of_connection(struct peer_places *places, int pidfd,
                                         const struct peer *peer);

/* The same of a process by its number. */
enum peer_place peer_place_of_process(struct peer_places *places, pid_t pid, uid_t uid);

/* Why it is refused, a sentence; NULL of the host. */
const char *peer_place_reason(enum peer_place place);
