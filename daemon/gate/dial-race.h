/* The attempts of one request to connect that are under way at once: one in c->server, and those
 * that race with it. dial.c decides which come and which wins. */
#pragma once

#include "connection.h"

struct dial_attempt {
    struct event_source source; /* its descriptor is negative while it is none */
    struct connection *c;
    struct ip_address address;
    uint64_t started;
};

struct dial_race {
    struct dial_attempt attempts[GATE_DIAL_ATTEMPTS_MAX - 1];
};

/* A place for an attempt that begins now: the caller sets its address and descriptor, and counts it
 * in gate->n_extra_dials. NULL if there is none, or no memory for it. */
struct dial_attempt *dial_race_take_place(struct connection *c,
                                          void (*ready)(struct event_source *, uint32_t));

/* Whether another attempt can begin: in c->server, or beside it. */
bool dial_race_has_place(const struct connection *c);

/* Whether any attempt is under way. */
bool dial_is_under_way(const struct connection *c);

/* When the oldest attempt began, and which it is (NULL: c->server). There must be one. */
uint64_t dial_race_find_oldest(const struct connection *c, struct dial_attempt **ret);

/* Ends an attempt; does nothing where there is none. */
void dial_attempt_close(struct dial_attempt *attempt);
void dial_source_close(struct connection *c, struct event_source *source);
