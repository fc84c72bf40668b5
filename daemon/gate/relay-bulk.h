/* Bulk from one socket to another by splice(2): through a pipe, without a copy. For small messages
 * a copy costs less; so a flow (relay.c) begins with copies, goes over to this when one filled the
 * buffer, and back when little comes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct relay_bulk {
    bool on;
    int pipe[2];   /* while `inside` > 0 */
    size_t inside; /* read, not yet written */
};

/* Reads at most `most` bytes into the pipe, which must be empty. Returns how many; 0 at the end of
 * the stream; -EAGAIN if there is nothing now; -EMFILE or the like if there is no pipe to be had
 * (`on` is false then); another -errno of `from`. */
ssize_t relay_bulk_read(struct relay_bulk *bulk, int from, size_t most);

/* Writes what is in the pipe. Returns how much was taken, 0 if nothing can be now, or -errno. */
ssize_t relay_bulk_write(struct relay_bulk *bulk, int to);

/* What is inside is lost. */
void relay_bulk_drop(struct relay_bulk *bulk);
