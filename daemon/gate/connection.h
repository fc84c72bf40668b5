/* One connection of the agent, from its first byte to its last.
 *
 * States, and what may follow (connection.c has it as a table):
 *
 *   reading-head --> held --> resolving --> dialling --> parent-head --> recording --+
 *        ^                                                                           |
 *        +--------------------------------- exchange <-------------------------------+
 *                                              |                                     |
 *                                              +---------> tunnel <------------------+
 *                                                            +-----> draining
 *
 * reading-head  the client's next request comes in; then the rules are asked
 * held          no rule is about the host: an operator is asked (ask.h)
 * resolving     the name was allowed; its addresses (or the parent proxy's) are asked for
 * dialling      the checked addresses are tried, several at once; the first that answers is taken
 * parent-head   the parent proxy's answer to our CONNECT comes in
 * recording     all is allowed and connected, but the record has not gone out: no byte passes
 *               before it does, which is at the end of this round of the event loop unless cagedd's
 *               socket is full
 * exchange      one plain http request and its answer pass; behind them the next head is read
 * tunnel        bytes go both ways: CONNECT, a forward, or what a request was upgraded to
 * draining      nothing more is said to the client; it is given time to read what was
 *
 * Steps are skipped where there is nothing to do. A request that was to follow on a kept server's
 * connection which turns out to be dead goes back to dialling. A refusal goes to draining from
 * everywhere, or back to reading-head where the client's next request is beyond doubt; an abort
 * (the client is gone, a stream was cut) ends the connection from everywhere.
 *
 * A server's connection outlives its request if another may follow on it (`kept`). Whatever it says
 * or does before the next one was decided for it ends it; so nothing that a server says is ever the
 * answer to a request that it was not sent.
 *
 * Each function that can end a connection, or begin its next request, is the last thing its caller
 * does with it. */
#pragma once

#include "buffer.h"
#include "end-code.h"
#include "gate.h"
#include "http-answer.h"
#include "http-body.h"
#include "http-head.h"
#include "policy.h"
#include "refusal.h"
#include "relay.h"

enum connection_state {
    CONNECTION_READING_HEAD,
    CONNECTION_HELD,
    CONNECTION_RESOLVING,
    CONNECTION_DIALLING,
    CONNECTION_PARENT_HEAD,
    CONNECTION_RECORDING,
    CONNECTION_EXCHANGE,
    CONNECTION_TUNNEL,
    CONNECTION_DRAINING,
    CONNECTION_STATE_COUNT,
};

const char *connection_state_to_string(enum connection_state state);
int connection_state_from_string(const char *name, enum connection_state *ret);

struct dial_race;

struct connection {
    struct gate *gate;
    struct connection *next, **link;
    enum connection_state state;
    struct timer timer; /* of the state */
    struct event_source client, server;
    const struct endpoint *forward; /* NULL: proxy requests, or else: */
    bool transparent;               /* to a synthetic address; then the name that has it: */
    struct named_address *named;    /* held; NULL: not known yet, or unknown */
    bool used;                      /* it had a request before this one */
    bool client_ended;              /* it will send no more than what is in `head` */

    /* the request */
    struct buffer head;
    size_t head_scanned, head_size; /* head_size: 0 until it is whole; what follows came early */
    struct http_request request;    /* spans into `head` */
    bool request_read;              /* it was parsed: where it ends is beyond doubt */
    const struct allow_rule *rule;  /* that allowed it, or denied it; or NULL */
    bool via_parent;

    /* what is recorded of it */
    uint64_t request_id;     /* 0: it has no number yet */
    uint64_t started;        /* when it got that: CLOCK_MONOTONIC, usec */
    uint64_t held_request;   /* the number of the last that was held; 0: none was */
    bool recorded;           /* the decision is */
    bool open;               /* it was allowed, and its end is not recorded */
    char method[64];         /* for the end */
    uint64_t own_bytes_down; /* of `down.bytes`, what the gate itself said to the client */

    /* the way there */
    struct resolve_query *query;
    struct ip_address *addresses; /* checked; owned, and gone once one is connected */
    size_t n_addresses, next_address;
    struct ip_address address;            /* being dialled, dialled or refused: for the record */
    uint64_t dial_deadline, dial_started; /* of the request; of the attempt at `address` */
    struct dial_race *race;               /* attempts besides that one; NULL: none was needed yet */
    int dial_error;                       /* of the last address, negative errno */
    struct buffer parent_head;
    size_t parent_head_scanned, parent_head_size;

    /* a server's connection that waits for the next request */
    struct {
        bool is; /* and then `server` is it */
        struct host host;
        uint16_t port;
        struct ip_address address;
        bool via_parent;
    } kept;

    /* the exchange */
    bool on_kept;          /* it goes over a connection that had another one */
    bool surplus;          /* the server said more than its answer */
    struct http_body body; /* of the request */
    struct http_answer answer;

    /* the exchange or the tunnel */
    struct relay_flow up, down;
};

/* Takes a new client socket. */
void connection_new(struct gate *gate, int fd, const struct listener *listener);
void connections_resume(struct gate *gate);    /* those in state recording */
void connections_block(struct gate *gate);     /* these: nothing is heard until they go on */
void connections_close_all(struct gate *gate); /* at the end of the gate */

/* recheck.c: the gate's configuration is another one. Returns how many connections were cut. */
size_t connections_recheck(struct gate *gate);

/* -- between the files of the state machine -- */

/* Without HTTP: the client is told of nothing but the bytes, or by a reset. */
static inline bool connection_is_raw(const struct connection *c)
{
    return c->forward || c->transparent;
}

/* Moves on; `timeout` in seconds from now, 0 for none. */
void connection_set_state(struct connection *c, enum connection_state state, unsigned timeout);

/* Records the refusal (once per request), answers it, and drains or reads the next request.
 * `detail` may be NULL. */
void connection_refuse(struct connection *c, enum refusal refusal, const char *detail);

/* Ends it with resets; what was not recorded yet is recorded as client-gone. */
void connection_abort(struct connection *c);

/* Nothing more goes to the client: waits until it has read all, then closes. */
void connection_drain(struct connection *c);

/* Frees all; orderly closes. */
void connection_close(struct connection *c);

/* The request is over and the connection goes on: reads the next one. The server's connection is
 * kept for it, or closed. */
void connection_next_request(struct connection *c, bool keep_server);

/* The server's connection is of no use any more: closes it. */
void connection_drop_server(struct connection *c);

/* All is allowed and connected: records it, then lets bytes pass. */
void connection_established(struct connection *c);

/* What is wanted of a client while nothing is: its death alone. Without it, each client that gave
 * up on a stuck server would stay. Edge-triggered, because a socket with both ends shut reports
 * EPOLLHUP for ever. */
#define CONNECTION_DEATH_ALONE ((uint32_t)EPOLLET)

/* From a server nothing may be wanted for a while; it leaves epoll then, since what it said last is
 * still to be passed on before its end counts. 0 or -errno. */
int connection_want_server(struct connection *c);

/* -- connection-records.c -- */

/* A request gets its number when it is read, or at its first record. */
void connection_number_request(struct connection *c);

/* Records that the request is allowed. False: the connection waits for that, or the gate ends. */
bool connection_record_allowed(struct connection *c);

/* Records that it is refused: that has gone out, or waits in the queue, when this returns. False:
 * the gate ends. */
bool connection_record_refused(struct connection *c, enum refusal refusal, unsigned status);

/* Records that it is held, at the end of this round at the latest. False: the gate ends. */
bool connection_record_held(struct connection *c);

/* The one place where the end of an allowed request is recorded, by a code of end-code.h or of a
 * refusal; does nothing if it was, or there is none. While the flows are whole. */
void connection_ended(struct connection *c, const char *code);

/* -- request.c -- */

void request_read(struct connection *c);              /* state reading-head */
void request_wait(struct connection *c);              /* reading-head, behind another request */
void request_resume(struct connection *c);            /* the recorder takes records again */
void request_forward_begin(struct connection *c);     /* a connection of a forward */
void request_transparent_begin(struct connection *c); /* transparent.c: to a synthetic address */
void request_decide(struct connection *c);            /* the host is known */
void request_refuse_address(struct connection *c,
                            const struct policy_fault *fault); /* c->address */

/* -- dial.c -- */

/* Takes a copy of the request's addresses. False: no memory for it, the request is over. */
bool dial_set_addresses(struct connection *c, const struct ip_address *addresses, size_t count);
void dial_drop_addresses(struct connection *c);
void dial_order(struct connection *c);          /* puts c->addresses in their order */
void dial_begin(struct connection *c);          /* tries c->addresses */
void dial_finish_attempt(struct connection *c); /* the socket is writable or broken */
void dial_timer_expired(struct connection *c);
void dial_recheck(struct connection *c);  /* gives up addresses that are not allowed any more */
void dial_race_end(struct connection *c); /* dial-race.c: closes what races with c->server */
void dial_read_parent_head(struct connection *c);

/* Refuses with the first line of a head that the parent sent. */
void dial_refuse_by_parent(struct connection *c, const char *head, size_t size);

/* -- tunnel.c -- */

/* It is allowed, connected and recorded; a plain http request goes to exchange.c from here. */
void tunnel_begin(struct connection *c);
void tunnel_upgrade(struct connection *c); /* from an exchange: its flows go on as a tunnel's */
void tunnel_client_ready(struct connection *c, uint32_t events);
void tunnel_server_ready(struct connection *c, uint32_t events);

/* -- tunnel-hello.c: the first bytes of a tunnel -- */

int tunnel_hello_begin(struct connection *c);    /* has them held back. 0 or -ENOMEM */
void tunnel_hello_watch(struct connection *c);   /* behind each run: their clock */
void tunnel_hello_refuse(struct connection *c);  /* the filter refused them */
void tunnel_hello_expired(struct connection *c); /* they did not come in time */
/* Another rule allows the connection now. False: what it let pass unread may not have passed. */
bool tunnel_hello_recheck(struct connection *c);

/* -- exchange.c -- */

void exchange_begin(struct connection *c);
void exchange_client_ready(struct connection *c, uint32_t events);
void exchange_server_ready(struct connection *c);
