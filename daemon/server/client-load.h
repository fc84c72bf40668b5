/* What the clients of the daemon make it hold: connections, calls under way, bytes and descriptors,
 * counted for each user and for all, against the limits of caged-limits.h. Nothing but memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

struct user_load {
    LIST_ENTRY(user_load) entry;
    uid_t uid;
    size_t n_connections, n_calls, buffered, n_descriptors;
};

/* Of all users but root, whose are in no sum. */
struct client_loads {
    LIST_HEAD(, user_load) users; /* those with a connection */
    size_t n_users, n_connections, n_calls, buffered;
};

/* A connection's part in it; embedded there. */
struct client_load {
    struct client_loads *all;
    struct user_load *user; /* NULL: nothing is counted */
    size_t buffered, n_descriptors;
    bool calling;
};

/* What is over, in words, and the number that it may be; `limit` NULL: nothing is. */
struct load_limit {
    const char *limit;
    int maximum;
};

/* Counts a connection of this user. 0 or -ENOMEM. */
int client_load_init(struct client_load *load, struct client_loads *all, uid_t uid);
void client_load_deinit(struct client_load *load);

/* What the connection holds now. */
void client_load_set(struct client_load *load, size_t buffered, size_t n_descriptors);

/* Whether there are more connections, or more descriptors, than may be: it is to be turned away. */
struct load_limit client_load_find_excess(const struct client_load *load);

/* Whether so much is buffered that no call may add to it: of its user, or of all where its user has
 * more than an equal part of that. */
struct load_limit client_load_find_pressure(const struct client_load *load);

/* A call begins that is not answered at once. Not counted if one too many: that is returned. */
struct load_limit client_load_begin_call(struct client_load *load);
void client_load_end_call(struct client_load *load);
