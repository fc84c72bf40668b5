/* Passing signals on to an agent while cagectl waits for something else.
 *
 * Each of SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1 and SIGUSR2 that cagectl gets is sent to the
 * agent by a Kill call on a connection of its own, as the first may be busy. The third SIGINT or
 * SIGTERM kills everything in the cage: there are agents that ignore both (docker(1) does so too).
 * Where a forwarder is expected NULL means: just wait. */
#pragma once

#include <poll.h>

#include "agent.h"
#include "connection.h"

struct forwarder;

/* From here on these signals come here and do not end cagectl any more. `socket`
 * and the id are borrowed. 0 or -errno. */
int forwarder_new(const char *socket, const struct agent_name *agent, struct forwarder **ret);
struct forwarder *forwarder_free(struct forwarder *forwarder);
DEFINE_CLEANUP(struct forwarder, forwarder_free);

/* Also takes SIGWINCH and SIGTSTP, and calls this for them. */
int forwarder_handle_terminal(struct forwarder *forwarder, void (*handler)(int signal, void *data),
                              void *data);

/* SIGINT and SIGTERM are not passed on any more: the first stops the agent, with these seconds of
 * grace (negative: the daemon's own), after calling the handler; the second kills everything. */
void forwarder_stop_agent(struct forwarder *forwarder, int64_t grace,
                          void (*handler)(int signal, void *data), void *data);

/* Calls `ready` whenever the descriptor is, while it waits for something else. Negative: no more.
 */
void forwarder_watch(struct forwarder *forwarder, int fd, void (*ready)(void *data), void *data);

/* poll(2) without a time limit on these and on the signals; signals are passed on before it
 * returns. 0 (maybe with nothing ready) or -errno. At most FORWARDER_POLL_MAX descriptors. */
#define FORWARDER_POLL_MAX 4
int forwarder_poll(struct forwarder *forwarder, struct pollfd *fds, size_t n_fds);

/* Waits until this one descriptor is ready or has failed. */
int forwarder_wait(struct forwarder *forwarder, int fd, short events);

/* Writes all of it, meanwhile passing signals on. 0 or -errno. */
int forwarder_write(struct forwarder *forwarder, int fd, const void *data, size_t size);

/* connection_receive, meanwhile passing signals on. */
int forwarder_receive(struct forwarder *forwarder, struct connection *connection,
                      struct reply *ret);
