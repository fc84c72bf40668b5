/* Closing what users sent. A close may take as long as the sender likes: the last one of a socket
 * with SO_LINGER (socket(7)) waits for its peer, and each one of a file of a FUSE waits for the
 * user's own program to answer; the socket may also wait in the queue of another one. So threads do
 * it, which do nothing else: the event loop never waits, and from a user for whom too many closes
 * hang nothing more is taken until some are done. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "server/watch.h"
#include "util.h"

struct closer;

/* 0 or -errno. */
int closer_new(sd_event *event, struct closer **ret);

/* What hangs still is left to the end of the process. */
struct closer *closer_free(struct closer *closer);
DEFINE_CLEANUP(struct closer, closer_free);

/* Closes descriptors that came from this user. */
void closer_close(struct closer *closer, uid_t uid, const int *fds, size_t n);

/* Whether CLOSES_PER_UID_MAX closes hang for this user, from whom nothing more is to be taken. */
bool closer_is_full(struct closer *closer, uid_t uid);

/* Woken, all of them, when a close is done. */
struct watch_list *closer_watches(struct closer *closer);
