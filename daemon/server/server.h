/* The listening socket and the connections. */
#pragma once

#include <systemd/sd-event.h>

#include "manager.h"
#include "server/client-load.h"
#include "util.h"

struct connection;
struct server;

/* Takes a listening SOCK_STREAM Unix socket. 0 or -errno. */
int server_new(struct manager *manager, int listener, struct server **ret);

/* Ends all connections, which stops their foreground agents. */
struct server *server_free(struct server *server);
DEFINE_CLEANUP(struct server, server_free);

/* Makes the socket at `path`, mode 0660 and of the manager's group, in place of one that nobody
 * listens on any more; the folder is made too. -EADDRINUSE if somebody does, -EEXIST if what is
 * there is no socket. Returns it or -errno. */
int server_bind(const struct manager *manager, const char *path);

/* How many clients there are, those that only follow events left out, and how many of them have a
 * call under way, or replies or further calls that are on their way. */
void server_count_clients(const struct server *server, size_t *ret_clients, size_t *ret_calling);

/* Whether no connection is open. */
bool server_is_empty(const struct server *server);

/* Takes no connection any more, after those that wait for it if `take_waiting`, and drains all that
 * are open: connection_drain(). */
void server_drain(struct server *server, bool take_waiting);

/* For connection.c. */
struct client_loads *server_loads(struct server *server);
struct turns *server_turns(struct server *server);
void server_remember(struct server *server, struct connection *connection);
void server_forget(struct server *server, struct connection *connection);
