/* See relay.h. Bytes go through one scratch buffer of the whole process, so that an idle tunnel
 * holds no memory. */
#include "relay.h"

#include <sys/socket.h>

#include "caged-limits.h"
#include "util.h"

#define ROUNDS_MAX 4 /* reads in one run, so that one busy tunnel does not starve the others */

static char scratch[GATE_BUFFER_SIZE];

void relay_flow_deinit(struct relay_flow *flow)
{
    free(flow->pending);
    *flow = (struct relay_flow){.from = -EBADF, .to = -EBADF, .ended = true, .shut = true};
}

void relay_flow_abandon(struct relay_flow *flow)
{
    free(flow->pending);
    flow->pending = NULL;
    flow->ended = flow->shut = true;
}

int relay_flow_push(struct relay_flow *flow, const char *data, size_t size)
{
    if (size == 0)
        return 0;
    char *pending = realloc(flow->pending, flow->pending_size + size);
    if (!pending)
        return -ENOMEM;
    memcpy(pending + flow->pending_size, data, size);
    flow->pending = pending;
    flow->pending_size += size;
    return 0;
}

/* Returns what was taken, 0 if nothing can be taken now, or -errno. */
static ssize_t write_some(struct relay_flow *flow, const char *data, size_t size)
{
    ssize_t n = send(flow->to, data, size, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0) {
        /* EPIPE: its orderly end came before the reset. */
        flow->reset = errno != EPIPE;
        return negative_errno();
    }
    flow->bytes += (size_t)n;
    return n;
}

int relay_flow_flush(struct relay_flow *flow)
{
    if (!flow->pending)
        return 0;
    size_t left = flow->pending_size - flow->pending_offset;
    ssize_t n = write_some(flow, flow->pending + flow->pending_offset, left);
    if (n < 0)
        return RELAY_WRITE_FAILED;
    flow->pending_offset += (size_t)n;
    if ((size_t)n == left) {
        free(flow->pending);
        flow->pending = NULL;
        flow->pending_size = flow->pending_offset = 0;
    }
    return 0;
}

int relay_flow_pass(struct relay_flow *flow, const char *data, size_t size)
{
    ssize_t n = 0;

    if (size == 0)
        return 0;
    if (!flow->pending)
        n = write_some(flow, data, size);
    if (n < 0)
        return RELAY_WRITE_FAILED;
    return relay_flow_push(flow, data + n, size - (size_t)n) < 0 ? RELAY_WRITE_FAILED : 0;
}

/* `from` will say nothing more. */
static int end_of_stream(struct relay_flow *flow, int error)
{
    flow->ended = true;
    if (error || !flow->filter)
        return error;
    return flow->filter(flow, NULL, 0);
}

/* One read and what follows from it. *ret_more: another read may find something. */
static int move_once(struct relay_flow *flow, bool *ret_more)
{
    ssize_t n = recv(flow->from, scratch, sizeof(scratch), 0);

    *ret_more = false;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : end_of_stream(flow, RELAY_READ_FAILED);
    if (n == 0)
        return end_of_stream(flow, flow->broken ? RELAY_READ_FAILED : 0);
    *ret_more = (size_t)n == sizeof(scratch);
    return flow->filter ? flow->filter(flow, scratch, (size_t)n)
                        : relay_flow_pass(flow, scratch, (size_t)n);
}

int relay_flow_run(struct relay_flow *flow)
{
    bool more = true;
    int r;

    if (flow->shut)
        return 0;
    r = relay_flow_flush(flow);
    for (int i = 0; r == 0 && more && i < ROUNDS_MAX && relay_flow_wants_read(flow); i++)
        r = move_once(flow, &more);
    if (r == 0 && flow->ended && !flow->pending) {
        /* ENOTCONN: the other side has gone already, and its own flow will find that. */
        if (!flow->whole)
            (void)shutdown(flow->to, SHUT_WR);
        flow->shut = true;
    }
    return r;
}
