/* The end of the daemon when it is idle, for a new version to take over (SIGUSR1).
 *
 * Asked so, it goes on as before, new agents included, until no agent is left and no client either;
 * who only follows events does not count. A client that keeps its connection open and has no call
 * under way is waited for LEAVE_QUIET seconds, since the next call may be about an agent that has
 * just ended. Then it drains: no connection is taken any more, those that are open can bring no
 * further call, and what they have sent by then is answered, but that no agent is started. With the
 * last connection, or after LEAVE_DRAIN seconds with clients that do not read, the event loop ends
 * with EXIT_ANEW, upon which the unit starts the daemon anew.
 *
 * A socket of systemd's goes on listening meanwhile: who connects is served by the next daemon. One
 * of our own is removed before, and who had connected by then is served still. */
#pragma once

#include "manager.h"
#include "server/server.h"

#define EXIT_ANEW 75 /* as RestartForceExitStatus= in cagedd.service has it */

struct leave;

/* From now on SIGUSR1, which must be blocked, asks. `own_socket` is the path of a socket that goes
 * with us, or NULL; borrowed, as the others are. 0 or -errno. */
int leave_new(struct manager *manager, struct server *server, const char *own_socket,
              struct leave **ret);
struct leave *leave_free(struct leave *leave);
DEFINE_CLEANUP(struct leave, leave_free);
