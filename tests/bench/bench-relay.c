/* The floor: bench-relay ADDRESS:PORT TARGET:PORT. Accepts, dials the one target and passes bytes;
 * reads no HTTP, decides and records nothing. What a proxy does beyond this is what it costs.
 *
 * As fast as we know how: edge-triggered, so that each socket is told to epoll(7) once; few bytes
 * are copied, which costs less than a pipe, and what fills the buffer is spliced from then on;
 * pipes are kept for the next connection. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "bench-net.h"

#define PIPE_SIZE (1024 * 1024)
#define PIPES_KEPT 512
#define ROUNDS_MAX 8
#define EVENTS 256

struct flow {
    int from, to;
    bool splicing;
    int pipe[2];   /* if has_pipe */
    bool has_pipe; /* when splicing, and for what `to` does not take */
    size_t inside; /* of the pipe */
    bool ended, shut;
};

struct relay {
    struct flow up, down;
    struct relay *again; /* has more to do than one turn allowed */
    bool queued, over;
};

static char buffer[64 * 1024];
static int pipes_kept[PIPES_KEPT][2];
static size_t n_kept;
static struct relay *relays[BENCH_DESCRIPTORS_MAX]; /* by either descriptor */
static struct relay *again;

static void pipe_take(struct flow *flow)
{
    if (flow->has_pipe)
        return;
    flow->has_pipe = true;
    if (n_kept > 0) {
        memcpy(flow->pipe, pipes_kept[--n_kept], sizeof(pipes_kept[0]));
        return;
    }
    bench_check(pipe2(flow->pipe, O_NONBLOCK | O_CLOEXEC), "pipe2");
    bench_check(fcntl(flow->pipe[1], F_SETPIPE_SZ, PIPE_SIZE), "F_SETPIPE_SZ");
}

static void pipe_give(struct flow *flow)
{
    if (!flow->has_pipe)
        return;
    flow->has_pipe = false;
    if (flow->inside == 0 && n_kept < PIPES_KEPT) {
        memcpy(pipes_kept[n_kept++], flow->pipe, sizeof(pipes_kept[0]));
        return;
    }
    (void)close(flow->pipe[0]);
    (void)close(flow->pipe[1]);
}

/* What is in the pipe goes out. False: the connection is broken. */
static bool flow_empty(struct flow *flow)
{
    if (flow->inside == 0)
        return true;
    ssize_t n = splice(flow->pipe[0], NULL, flow->to, NULL, flow->inside,
                       SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0)
        flow->inside -= (size_t)n;
    return n >= 0 || errno == EAGAIN;
}

/* Into the pipe. Returns what came, 0 at the end, or -1. */
static ssize_t splice_in(struct flow *flow)
{
    pipe_take(flow);
    ssize_t n =
        splice(flow->from, NULL, flow->pipe[1], NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0)
        flow->inside += (size_t)n;
    return n;
}

/* Through the buffer; what `to` does not take waits in a pipe. */
static ssize_t copy(struct flow *flow)
{
    ssize_t n = recv(flow->from, buffer, sizeof(buffer), 0);
    if (n <= 0)
        return n;
    ssize_t sent = send(flow->to, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return -1;
    sent = sent < 0 ? 0 : sent;
    flow->splicing = (size_t)n == sizeof(buffer);
    if (sent < n) {
        pipe_take(flow); /* and larger than the buffer */
        if (write(flow->pipe[1], buffer + sent, (size_t)(n - sent)) != n - sent)
            bench_fail("write");
        flow->inside = (size_t)(n - sent);
    }
    return n;
}

/* False: the connection is broken. *more: there may be more to move. */
static bool flow_move(struct flow *flow, bool *more)
{
    for (int i = 0; i < ROUNDS_MAX && !flow->shut; i++) {
        if (!flow_empty(flow))
            return false;
        if (flow->inside > 0)
            return true; /* epoll tells when it can go on */
        if (flow->ended) {
            (void)shutdown(flow->to, SHUT_WR);
            flow->shut = true;
            return true;
        }
        bool splicing = flow->splicing;
        errno = 0;
        ssize_t n = splicing ? splice_in(flow) : copy(flow);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            return true;
        flow->ended = n == 0;
        if (n > 0 && !splicing && (size_t)n < sizeof(buffer) && flow->inside == 0)
            return true; /* that was all (epoll(7)) */
    }
    *more = true;
    return true;
}

static void relay_end(struct relay *relay)
{
    (void)close(relay->up.from);
    (void)close(relay->up.to);
    relays[relay->up.from] = relays[relay->up.to] = NULL;
    pipe_give(&relay->up);
    pipe_give(&relay->down);
    relay->over = true;
    if (!relay->queued)
        free(relay);
}

static void relay_run(struct relay *relay, bool up, bool down)
{
    bool more = false;

    if ((up && !flow_move(&relay->up, &more)) || (down && !flow_move(&relay->down, &more)) ||
        (relay->up.shut && relay->down.shut)) {
        relay_end(relay);
        return;
    }
    if (more && !relay->queued) {
        relay->queued = true;
        relay->again = again;
        again = relay;
    }
}

/* What came moves its own direction; room moves the other, if something waits there. */
static void relay_event(struct relay *relay, int fd, uint32_t events)
{
    const bool in = events & ~(uint32_t)EPOLLOUT, out = events & EPOLLOUT;
    const bool client = fd == relay->up.from;
    struct flow *to_here = client ? &relay->down : &relay->up;
    bool other = out && to_here->inside > 0;

    relay_run(relay, client ? in : other || (out && !in), client ? other : in);
}

static void run_again(void)
{
    struct relay *relay = again, *next;

    for (again = NULL; relay; relay = next) {
        next = relay->again;
        relay->queued = false;
        if (relay->over)
            free(relay);
        else
            relay_run(relay, true, true);
    }
}

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    bench_check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static void relay_new(int epoll_fd, int client, const struct sockaddr_in *target)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (!relay || server < 0 || server >= BENCH_DESCRIPTORS_MAX || client >= BENCH_DESCRIPTORS_MAX)
        bench_fail("too many connections");
    bench_no_delay(server);
    if (connect(server, (const struct sockaddr *)target, sizeof(*target)) < 0 &&
        errno != EINPROGRESS)
        bench_fail("connect");
    relay->up = (struct flow){.from = client, .to = server};
    relay->down = (struct flow){.from = server, .to = client};
    relays[client] = relays[server] = relay;
    watch(epoll_fd, client);
    watch(epoll_fd, server);
}

static void accept_all(int epoll_fd, int listener, const struct sockaddr_in *target)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        relay_new(epoll_fd, fd, target);
    if (errno != EAGAIN && errno != ECONNABORTED)
        bench_fail("accept");
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 3) {
        (void)fputs("usage: bench-relay ADDRESS:PORT TARGET:PORT\n", stderr);
        return EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* splice(2) has no MSG_NOSIGNAL */
    const struct sockaddr_in target = bench_address(argv[2]);
    int listener = bench_listen(argv[1]);
    bench_check(epoll_fd, "epoll_create1");
    watch(epoll_fd, listener);
    (void)puts("ready");
    (void)fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, again ? 0 : -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll_fd, listener, &target);
            else if (relays[events[i].data.fd])
                relay_event(relays[events[i].data.fd], events[i].data.fd, events[i].events);
        }
        run_again();
    }
}
