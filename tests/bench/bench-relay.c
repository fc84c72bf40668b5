/* The floor: bench-relay ADDRESS:PORT TARGET:PORT. Accepts, dials the one target and splices; reads
 * no HTTP, decides and records nothing. What a proxy does beyond this is what it costs.
 *
 * Edge-triggered, so that each socket is told to epoll(7) once; pipes are kept for the next
 * connection. */
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
    int pipe[2];
    size_t inside; /* of the pipe */
    bool ended, shut;
};

struct relay {
    struct flow up, down;
    struct relay *again; /* has more to do than one turn allowed */
    bool queued, over;
};

static int pipes_kept[PIPES_KEPT][2];
static size_t n_kept;
static struct relay *relays[BENCH_DESCRIPTORS_MAX]; /* by either descriptor */
static struct relay *again;

static void pipe_take(int pipe[2])
{
    if (n_kept > 0) {
        memcpy(pipe, pipes_kept[--n_kept], sizeof(pipes_kept[0]));
        return;
    }
    bench_check(pipe2(pipe, O_NONBLOCK | O_CLOEXEC), "pipe2");
    (void)fcntl(pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
}

static void pipe_give(const struct flow *flow)
{
    if (flow->inside == 0 && n_kept < PIPES_KEPT) {
        memcpy(pipes_kept[n_kept++], flow->pipe, sizeof(pipes_kept[0]));
        return;
    }
    (void)close(flow->pipe[0]);
    (void)close(flow->pipe[1]);
}

/* False: the connection is broken. *more: there may be more to move. */
static bool flow_move(struct flow *flow, bool *more)
{
    *more = false;
    for (int i = 0; i < ROUNDS_MAX && !flow->shut; i++) {
        ssize_t in = 0, out = 0;
        if (!flow->ended) {
            in = splice(flow->from, NULL, flow->pipe[1], NULL, PIPE_SIZE,
                        SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (in < 0 && errno != EAGAIN)
                return false;
            flow->ended = in == 0;
            flow->inside += in > 0 ? (size_t)in : 0;
        }
        if (flow->inside > 0) {
            out = splice(flow->pipe[0], NULL, flow->to, NULL, flow->inside,
                         SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (out < 0 && errno != EAGAIN)
                return false;
            flow->inside -= out > 0 ? (size_t)out : 0;
        }
        if (flow->ended && flow->inside == 0) {
            (void)shutdown(flow->to, SHUT_WR);
            flow->shut = true;
        }
        if (in <= 0 || flow->inside > 0)
            return true; /* EAGAIN on one side: epoll tells when it is over */
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

static void relay_run(struct relay *relay)
{
    bool more_up, more_down;

    if (!flow_move(&relay->up, &more_up) || !flow_move(&relay->down, &more_down) ||
        (relay->up.shut && relay->down.shut)) {
        relay_end(relay);
        return;
    }
    if ((more_up || more_down) && !relay->queued) {
        relay->queued = true;
        relay->again = again;
        again = relay;
    }
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
            relay_run(relay);
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
    pipe_take(relay->up.pipe);
    pipe_take(relay->down.pipe);
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
                relay_run(relays[events[i].data.fd]);
        }
        run_again();
    }
}
