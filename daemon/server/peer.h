/* Who is at the other end of a connection, by the kernel's word at connect time: SO_PEERCRED and
 * SO_PEERGROUPS (unix(7), socket(7)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "site-policy.h"

struct peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    gid_t *groups; /* supplementary ones */
    size_t n_groups;
};

/* 0 or -errno; peer_deinit() frees. */
int peer_init(struct peer *peer, int socket);
void peer_deinit(struct peer *peer);

/* A pidfd of the process that connected (SO_PEERPIDFD, Linux 6.5; before that, of the one that has
 * its number now): the caller's, or -errno. -ESRCH: it has ended. */
int peer_open_pidfd(const struct peer *peer, int socket);

/* Whether a message came from who connected (socket_receive_from()): by uid and gid, which are the
 * sender's real ones here and were the effective ones at connect(2). So a connection that was made
 * by a setuid or setgid program is of no use to who called it, nor is one that was passed on to
 * another user. False too where the kernel does not know who sent it. */
bool peer_is_sender(const struct peer *peer, const struct ucred *sender);

/* A copy of who it is, for peer_deinit(), to outlive the connection. 0 or -ENOMEM. */
int peer_copy(const struct peer *peer, struct peer *ret);

/* The same as the site policy wants it; borrowed. */
struct policy_subject peer_subject(const struct peer *peer);

/* Whether the peer's gid or one of its supplementary groups is this one. */
bool peer_in_group(const struct peer *peer, gid_t gid);
