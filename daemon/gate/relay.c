/* See relay.h. Bytes go through one scratch buffer of the whole process, so that an idle tunnel
 * holds no memory; or, where many come and nobody looks at them, through a pipe. */
#include "relay.h"

#include <sys/socket.h>

#include "caged-limits.h"
#include "util.h"

#define ROUNDS_MAX 4 /* reads in one run, so that one busy tunnel does not starve the others */

static char scratch[GATE_BUFFER_SIZE];

void relay_flow_deinit(struct relay_flow *flow)
{
    free(flow->pending);
    hello_filter_free(flow->hello);
    relay_bulk_drop(&flow->bulk);
    *flow = (struct relay_flow){.from = -EBADF, .to = -EBADF, .ended = true, .shut = true};
}

void relay_flow_abandon(struct relay_flow *flow)
{
    free(flow->pending);
    flow->pending = NULL;
    flow->hello = hello_filter_free(flow->hello);
    relay_bulk_drop(&flow->bulk);
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

/* What the filter gave goes first, then everything passes. 0 or -errno. */
static int end_filter(struct relay_flow *flow, const char *data, size_t size)
{
    int r = relay_flow_push(flow, data, size);

    flow->unjudged = flow->hello->unjudged;
    flow->hello = hello_filter_free(flow->hello);
    return r;
}

int relay_flow_offer(struct relay_flow *flow, const char *data, size_t size)
{
    if (!flow->hello)
        return relay_flow_push(flow, data, size);
    int r = hello_filter_take(flow->hello, data, size, &data, &size);
    return r > 0 ? end_filter(flow, data, size) : r;
}

/* Notes how a write went, and passes that on. */
static ssize_t written(struct relay_flow *flow, ssize_t n)
{
    if (n < 0)
        flow->reset = n != -EPIPE; /* EPIPE: its orderly end came before the reset */
    else
        flow->bytes += (size_t)n;
    return n;
}

/* Returns what was taken, 0 if nothing can be taken now, or -errno. */
static ssize_t write_some(struct relay_flow *flow, const char *data, size_t size)
{
    ssize_t n = send(flow->to, data, size, MSG_NOSIGNAL);
    if (n < 0)
        n = errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
    return written(flow, n);
}

static int write_bulk(struct relay_flow *flow)
{
    return written(flow, relay_bulk_write(&flow->bulk, flow->to)) < 0 ? RELAY_WRITE_FAILED : 0;
}

static int write_pending(struct relay_flow *flow)
{
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

int relay_flow_flush(struct relay_flow *flow)
{
    int r = flow->pending ? write_pending(flow) : 0;

    return r == 0 && flow->bulk.inside > 0 ? write_bulk(flow) : r;
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

static int filter_result(int r)
{
    return r == -EBADMSG ? RELAY_BAD_HELLO : r < 0 ? RELAY_WRITE_FAILED : 0;
}

/* What is let through waits to be written, since it may lie in the filter. */
static int filter_hello(struct relay_flow *flow, size_t size)
{
    int r = relay_flow_offer(flow, scratch, size);

    if (r == 0 && flow->pending)
        return write_pending(flow);
    return filter_result(r);
}

static int end_hello(struct relay_flow *flow)
{
    const char *data;
    size_t size;
    int r = hello_filter_end(flow->hello, &data, &size);

    return filter_result(r > 0 ? end_filter(flow, data, size) : r);
}

/* `from` will say nothing more. */
static int end_of_stream(struct relay_flow *flow, int error)
{
    flow->ended = true;
    if (error)
        return error;
    if (flow->hello)
        return end_hello(flow);
    return flow->filter ? flow->filter(flow, NULL, 0) : 0;
}

/* Whether nobody looks at what passes. */
static bool passes_unseen(const struct relay_flow *flow)
{
    return !flow->hello && !flow->filter;
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
    size_t size = (size_t)n;
    *ret_more = flow->bulk.on = size == sizeof(scratch);
    if (flow->hello)
        return filter_hello(flow, size);
    return flow->filter ? flow->filter(flow, scratch, size) : relay_flow_pass(flow, scratch, size);
}

/* The same through a pipe. Where the `first` read of a run finds nothing, or any the end, there may
 * be more all the same: splice(2) stops in front of urgent data (tcp(7)), recv(2) steps over it. */
static int move_bulk(struct relay_flow *flow, bool first, bool *ret_more)
{
    ssize_t n = relay_bulk_read(&flow->bulk, flow->from, SIZE_MAX);

    if (n == 0 || (n == -EAGAIN && first))
        return move_once(flow, ret_more);
    *ret_more = n == -EMFILE || n >= GATE_BUFFER_SIZE;
    if (n == -EAGAIN || n == -EINTR || n == -EMFILE)
        return 0;
    if (n < 0)
        return end_of_stream(flow, RELAY_READ_FAILED);
    return write_bulk(flow);
}

int relay_flow_run(struct relay_flow *flow)
{
    bool more = true;

    if (flow->shut)
        return 0;
    int r = relay_flow_flush(flow);
    for (int i = 0; r == 0 && more && i < ROUNDS_MAX && relay_flow_wants_read(flow); i++)
        r = flow->bulk.on && passes_unseen(flow) ? move_bulk(flow, i == 0, &more)
                                                 : move_once(flow, &more);
    if (r == 0 && flow->ended && !relay_flow_wants_write(flow)) {
        /* ENOTCONN: the other side has gone already, and its own flow will find that. */
        if (!flow->whole && !flow->last)
            (void)shutdown(flow->to, SHUT_WR);
        flow->shut = true;
    }
    return r;
}
