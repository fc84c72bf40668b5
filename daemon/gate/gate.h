/* The running gate: its configuration, its loop, its listeners and how many connections it has. */
#pragma once

#include "ask.h"
#include "caged-limits.h"
#include "event-loop.h"
#include "gate-config.h"
#include "names-server.h"
#include "recorder.h"
#include "resolver.h"
#include "update.h"

struct gate;
struct connection;

struct listener {
    struct gate *gate;
    struct event_source source;
    const struct endpoint *forward; /* NULL: the proxy port, or else: */
    bool transparent;               /* connections to synthetic addresses */
};

struct gate {
    struct gate_config *config; /* owned; an update replaces it */
    struct update update;
    struct event_loop *loop;
    struct resolver *resolver;
    struct recorder recorder;
    struct listener listeners[GATE_LISTENERS_MAX];
    size_t n_listeners;
    struct names_server names;      /* without a table: the card is not transparent */
    struct timer pause;             /* after accept(2) failed for want of something */
    struct connection *connections; /* list */
    size_t n_connections;
    size_t n_held; /* of them */
    struct ask_bucket ask_bucket;
    uint64_t n_requests;  /* that were given a number */
    size_t n_extra_dials; /* dial.c: attempts besides one for each connection */
    sa_family_t quicker;  /* won last against the one that was tried first */
    uint64_t quicker_until;
};

/* Watches the control socket and the listeners (descriptors of gate-proto.h). Takes `config` over,
 * unless it fails. 0 or -errno. */
int gate_init(struct gate *gate, struct gate_config *config, struct event_loop *loop,
              struct resolver *resolver);
void gate_deinit(struct gate *gate);

/* Accepts again, or stops to, as the number of connections and the recorder have it. */
void gate_update_listeners(struct gate *gate);
