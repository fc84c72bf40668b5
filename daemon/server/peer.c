/* Who is at the other end of a connection. */
#include "server/peer.h"

#include <sys/syscall.h>

#include "util.h"

#if !defined(SO_PEERPIDFD) && !defined(__hppa__) && !defined(__sparc__)
#define SO_PEERPIDFD 77 /* asm-generic/socket.h; Debian 12's headers are older */
#endif

static int get_groups(int socket, gid_t **ret, size_t *ret_n)
{
    AUTO_FREE gid_t *groups = NULL;
    socklen_t size = 0;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
        return negative_errno();
    if (size > 0) {
        groups = malloc(size);
        if (!groups)
            return -ENOMEM;
        if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
            return negative_errno();
    }
    *ret_n = size / sizeof(gid_t);
    *ret = TAKE_PTR(groups);
    return 0;
}

int peer_init(struct peer *peer, int socket)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    struct peer result = {};
    int r;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return negative_errno();
    r = get_groups(socket, &result.groups, &result.n_groups);
    if (r < 0)
        return r;
    result.uid = credentials.uid;
    result.gid = credentials.gid;
    result.pid = credentials.pid;
    *peer = result;
    return 0;
}

void peer_deinit(struct peer *peer)
{
    free(peer->groups);
    *peer = (struct peer){};
}

int peer_copy(const struct peer *peer, struct peer *ret)
{
    struct peer copy = *peer;

    copy.groups = NULL;
    if (peer->n_groups > 0) {
        copy.groups = calloc(peer->n_groups, sizeof(gid_t));
        if (!copy.groups)
            return -ENOMEM;
        memcpy(copy.groups, peer->groups, peer->n_groups * sizeof(gid_t));
    }
    *ret = copy;
    return 0;
}

struct policy_subject peer_subject(const struct peer *peer)
{
    return (struct policy_subject){peer->uid, peer->gid, peer->groups, peer->n_groups};
}

bool peer_in_group(const struct peer *peer, gid_t gid)
{
    if (peer->gid == gid)
        return true;
    for (size_t i = 0; i < peer->n_groups; i++)
        if (peer->groups[i] == gid)
            return true;
    return false;
}

int peer_open_pidfd(const struct peer *peer, int socket)
{
    int pidfd;
#ifdef SO_PEERPIDFD
    socklen_t size = sizeof(pidfd);

    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) >= 0)
        return pidfd;
    if (errno != ENOPROTOOPT)
        return negative_errno();
#endif
    if (peer->pid <= 0)
        return -ESRCH;
    pidfd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
    return pidfd < 0 ? negative_errno() : pidfd;
}

bool peer_is_sender(const struct peer *peer, const struct ucred *sender)
{
    /* Without a number it is nobody known, unless who connected has none here either. */
    if (sender->pid == 0 && peer->pid != 0)
        return false;
    return sender->uid == peer->uid && sender->gid == peer->gid;
}
