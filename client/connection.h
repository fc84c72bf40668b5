/* A Varlink connection to cagedd: blocking calls, and replies one by one for `more`. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "util.h"
#include "varlink-stream.h"

struct connection;

struct reply {
    struct varlink_message message;
    const char *error;  /* name of the error, or NULL; borrowed from the message */
    json_t *parameters; /* an object, maybe empty; borrowed */
    bool continues;
};
void reply_deinit(struct reply *reply);

/* Connects to the socket. 0 or -errno of connect(2). */
int connection_open(const char *path, struct connection **ret);
struct connection *connection_free(struct connection *connection);
DEFINE_CLEANUP(struct connection, connection_free);

int connection_fd(const struct connection *connection);

/* Sends a call. Takes the reference to `parameters` in every case (NULL: -ENOMEM). -EMSGSIZE if it
 * is over what the daemon takes. */
int connection_send(struct connection *connection, const char *method, json_t *parameters,
                    bool more, const int *fds, size_t n_fds);

/* Waits for the next reply: 0, -ECONNRESET if the daemon closed the connection, -EPROTO for what
 * is not a reply, or another -errno. */
int connection_receive(struct connection *connection, struct reply *ret);

/* The two halves of that, for those who poll(2): one read, which blocks unless the descriptor is
 * ready, 0 or as above; and taking a whole reply out of what was read, 1 with *ret, 0 if there is
 * none yet, or as above. */
int connection_read(struct connection *connection);
int connection_take(struct connection *connection, struct reply *ret);

/* For verbs: they tell the user what went wrong and return the exit status. */
int connection_open_or_say(const char *path, struct connection **ret);
int connection_failed(const struct connection *connection, int error);
/* One call and its reply; an error reply is a failure too. */
int connection_call(struct connection *connection, const char *method, json_t *parameters,
                    struct reply *ret);
