/* One client of the daemon: its identity, the one call that it has under way, and what it follows.
 *
 * Calls of a connection are answered one after the other, as Varlink has it. A method that cannot
 * answer at once sets a `pump`: it is called from the event loop when something that the connection
 * watches has changed, or when its socket takes more; it sends what there is to send, and ends the
 * call by a last reply. In each of its turns a connection has one call at most, and users have
 * theirs one after the other (turns.h), so that a heap of calls does not come before those of
 * others; and none while it does not read its replies. What waits for a slow reader is bounded
 * (WIRE_OUTPUT_BUFFER_MAX, and for all of a user's connections together, client-load.h): pumps ask
 * connection_has_room() first, and what they have not sent stays in the ring. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "manager.h"
#include "server/client-load.h"
#include "server/history.h"
#include "server/peer.h"
#include "server/turns.h"
#include "server/watch.h"
#include "varlink-stream.h"

struct connection;
struct server;

typedef void (*connection_pump)(struct connection *connection);

struct connection {
    LIST_ENTRY(connection) entry;
    struct server *server;
    struct manager *manager;
    struct varlink_stream *stream;
    struct peer peer;
    int pidfd;     /* of who connected; negative: it was gone */
    uid_t account; /* for whom it counts where users have limits; (uid_t)-1: all subordinate uids */
    struct client_load load;
    enum peer_place place; /* of who connected, or of who spoke last, if that is worse */
    struct ucred sender;   /* who spoke last */
    sd_event_source *io_source, *half_source;
    struct turn turn;          /* while it is woken */
    bool read_closed;          /* the client sends no more, but may still take replies */
    bool hung_up;              /* nor that: what it left behind is done, and that is all */
    bool backlog;              /* the input may hold whole calls: none is read to them */
    bool broken;               /* to be freed by whoever runs on it now */
    bool draining;             /* connection_drain() */
    struct watch closes_watch; /* while it waits for closes to be done: see wait_for_closes() */

    /* The call under way. */
    bool busy, more, oneway;
    bool endless;         /* it ends with the connection, or when that is drained */
    connection_pump pump; /* NULL: it is answered at once */
    struct agent *agent;  /* what the pump is about */
    struct watch watch;
    uint64_t cursor, end; /* in a ring: next entry to send, entry to stop at */
    json_int_t lost;      /* entries that were passed over, to be told with the next reply */
    bool follow;
    char *filter;          /* an agent's id, for Events */
    bool sees_others;      /* agents, maybe, for Events */
    uint64_t n_events;     /* that were sent by this call of Events */
    enum agent_state told; /* for Wait: the state that the client knows */
    json_t *result;        /* what will be the reply, for Reload */
    uint64_t update;       /* of a gate: what the reply waits for */
    struct history *history;

    struct agent *foreground;      /* the agent that ends with this connection */
    struct watch foreground_watch; /* keeps it from being forgotten meanwhile */
};

/* Takes the socket; it serves itself from the event loop and frees itself in the end. 0 or -errno.
 */
int connection_new(struct server *server, struct manager *manager, int fd, struct connection **ret);
struct connection *connection_free(struct connection *connection);

/* Replies of the call under way. `parameters` is a new reference that they take; NULL means that
 * there was no memory for it, and ends the connection. The last one ends the call. */
void connection_reply(struct connection *connection, json_t *parameters);
void connection_reply_fd(struct connection *connection, json_t *parameters, int fd);
void connection_continue(struct connection *connection, json_t *parameters);
void connection_error(struct connection *connection, const char *error, json_t *parameters);

/* io.caged.Busy; `limit` has one. */
void connection_busy(struct connection *connection, struct load_limit limit);

/* org.varlink.service.InvalidParameter */
void connection_invalid(struct connection *connection, const char *parameter);

/* Makes the call one that is answered by `pump`, and has it called soon. */
void connection_set_pump(struct connection *connection, connection_pump pump,
                         struct watch_list *watches);

/* For server.c: what a connection does when it is its turn. May free it. */
void connection_take_turn(struct turn *turn);

/* After a call was answered outside of a pump: goes on with the next. May free the connection. */
void connection_settle(struct connection *connection);

/* Has the pump called again, when others had their turn: it sends a batch at a time. */
void connection_wake(struct connection *connection);

/* Ties the agent to this connection, or unties with NULL. */
void connection_set_foreground(struct connection *connection, struct agent *agent);

/* Whether a call is under way, or there are replies to send or calls to read. */
bool connection_is_calling(const struct connection *connection);

/* Lets the client send no more (its writes fail with EPIPE); what it has sent is still answered,
 * then the connection ends. A call that has no end of its own gets a last reply. */
void connection_drain(struct connection *connection);

/* Whether more output may be queued; and whether its user's clients have left so much unread that
 * it should be little. */
bool connection_has_room(const struct connection *connection);
bool connection_is_pressed(const struct connection *connection);
