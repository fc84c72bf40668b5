/* Names to addresses without ever blocking: the table of /etc/hosts, then DNS by c-ares in the
 * event loop. One lookup is one answer: callers keep it and dial exactly those addresses. */
#pragma once

#include "caged-limits.h"
#include "event-loop.h"
#include "host-pattern.h"

enum resolve_status {
    RESOLVE_OK,
    RESOLVE_NO_ADDRESS, /* the name does not exist or has no address, or all servers failed */
    RESOLVE_TIMEOUT,    /* no server answered */
    RESOLVE_FAILED,     /* no memory or descriptors here, or too many questions under way */
};

/* `addresses` (IPv4 first) are valid during the call. */
typedef void (*resolve_done)(void *userdata, enum resolve_status status,
                             const struct ip_address *addresses, size_t count);

struct resolver;
struct resolve_query;

/* Reads /etc/hosts and /etc/resolv.conf: before the gate loses the file system. 0 or -errno. */
int resolver_new(struct event_loop *loop, struct resolver **ret);
struct resolver *resolver_free(struct resolver *resolver);
DEFINE_CLEANUP(struct resolver, resolver_free);

/* Starts a lookup of a canonical name. `done` is called exactly once, perhaps before this returns,
 * unless the query is abandoned. *ret_query is set before `done` can be called and is worth nothing
 * from that call on; it is NULL where no query was needed. */
void resolver_lookup(struct resolver *resolver, const char *name, resolve_done done, void *userdata,
                     struct resolve_query **ret_query);
void resolver_abandon(struct resolve_query *query);
