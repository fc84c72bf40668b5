/* See relay-bulk.h. */
#include "relay-bulk.h"

#include <fcntl.h>

#include "caged-limits.h"
#include "pipe-pool.h"
#include "util.h"

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
#define LITTLE (GATE_BUFFER_SIZE / 4) /* where copies are as good */

/* Not of the socket: the pipe could not be had. */
static int no_pipe(struct relay_bulk *bulk)
{
    bulk->on = false;
    return -EMFILE;
}

ssize_t relay_bulk_read(struct relay_bulk *bulk, int from, size_t most)
{
    int pipe[2];

    if (pipe_pool_take(pipe) < 0)
        return no_pipe(bulk);
    ssize_t n = splice(from, NULL, pipe[1], NULL, MIN_OF(most, (size_t)GATE_PIPE_SIZE), FLAGS);
    int r = n < 0 ? negative_errno() : 0;
    if (n <= 0) {
        pipe_pool_give(pipe, true);
        return r;
    }
    bulk->on = n >= LITTLE;
    bulk->inside = (size_t)n;
    memcpy(bulk->pipe, pipe, sizeof(pipe));
    return n;
}

ssize_t relay_bulk_write(struct relay_bulk *bulk, int to)
{
    ssize_t n = splice(bulk->pipe[0], NULL, to, NULL, bulk->inside, FLAGS);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
    bulk->inside -= (size_t)n;
    if (bulk->inside == 0)
        pipe_pool_give(bulk->pipe, true);
    return n;
}

void relay_bulk_drop(struct relay_bulk *bulk)
{
    if (bulk->inside > 0)
        pipe_pool_give(bulk->pipe, false);
    *bulk = (struct relay_bulk){0};
}
