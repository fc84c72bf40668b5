/* The running gate: its configuration, its loop, its listeners and how many connections it has. */
#pragma once

#include "caged-limits.h"
#include "event-loop.h"
#include "gate-config.h"
#include "recorder.h"
#include "resolver.h"
#include "update.h"

struct gate;
struct connection;

struct listener {
    struct gate *gate;
    struct event_source source;
    const struct endpoint *forward; /* NULL: the proxy port */
};

struct gate {
    struct gate_config *config; /* owned; an update replaces it */
    struct update update;
    struct event_loop *loop;
    struct resolver *resolver;
    struct recorder recorder;
    struct listener listeners[1 + GATE_FORWARDS_MAX];
    size_t n_listeners;
    struct timer pause;             /* after accept(2) failed for want of something */
    struct connection *connections; /* list */
    size_t n_connections;
    uint64_t n_requests; /* that were given a number */
};

/* Watches the control socket and the listeners (descriptors of gate-proto.h). Takes `config` over,
 * unless it fails. 0 or -errno. */
int gate_init(struct gate *gate, struct gate_config *config, struct event_loop *loop,
              struct resolver *resolver);
void gate_deinit(struct gate *gate);

/* Accepts again, or stops to, as the number of connections and the recorder have it. */
void gate_update_listeners(struct gate *gate);
