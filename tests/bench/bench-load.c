/* The client of every measurement: bench-load WHAT PROXY:PORT TARGET:PORT SECONDS NUMBER, where
 * WHAT is a row of the table at the end. Without a proxy both addresses are the target's, and
 * bench-server answers the CONNECT itself: the client's work is the same for all. Prints one JSON
 * object. */
#include <stdbool.h>
#include <sys/epoll.h>

#include "bench-net.h"

#define EVENTS 64
#define PING_SIZE 64
#define SAMPLES_MAX 1000000
#define ANSWER_MAX 4096
#define SILENCE_MAX 20000 /* milliseconds: then something hangs */

static struct sockaddr_in proxy;
static char connect_head[256], get_head[256];
static size_t connect_size, get_size;
static uint64_t duration, deadline;

static uint32_t *samples; /* nanoseconds */
static size_t n_samples;

/* The time runs from here, when all that comes before is done. */
static uint64_t begin(void)
{
    uint64_t now = bench_now();
    deadline = now + duration;
    return now;
}

/* However busy the machine is, something is measured. */
static bool goes_on(uint64_t count)
{
    return count == 0 || bench_now() < deadline;
}

static void sample(uint64_t since)
{
    if (n_samples < SAMPLES_MAX)
        samples[n_samples++] = (uint32_t)(bench_now() - since);
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static void print_samples(void)
{
    qsort(samples, n_samples, sizeof(samples[0]), compare_samples);
    (void)printf("{\"count\": %zu, \"p50\": %.3f, \"p99\": %.3f}\n", n_samples,
                 samples[n_samples / 2] / 1e3, samples[n_samples * 99 / 100] / 1e3);
}

static void print_rate(uint64_t count, uint64_t start)
{
    (void)printf("{\"count\": %llu, \"seconds\": %.6f}\n", (unsigned long long)count,
                 (double)(bench_now() - start) / 1e9);
}

static _Noreturn void wrong(const char *what)
{
    errno = EPROTO;
    bench_fail(what);
}

/* -- one connection at a time, blocking -- */

static void send_whole(int fd, const char *data, size_t size)
{
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        bench_fail("send");
}

/* Reads an answer's head; nothing follows it unasked. False: it is a refusal, or none. */
static bool read_established(int fd)
{
    char answer[ANSWER_MAX];
    size_t size = 0;

    while (size < 4 || memcmp(answer + size - 4, "\r\n\r\n", 4) != 0) {
        ssize_t n = recv(fd, answer + size, sizeof(answer) - size, 0);
        if (n <= 0)
            return false;
        size += (size_t)n;
    }
    return memcmp(answer + 8, " 200", 4) == 0;
}

/* -1: it was refused. */
static int try_tunnel(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_check(fd, "socket");
    bench_no_delay(fd);
    bench_check(connect(fd, (const struct sockaddr *)&proxy, sizeof(proxy)), "connect");
    send_whole(fd, connect_head, connect_size);
    if (read_established(fd))
        return fd;
    (void)close(fd);
    return -1;
}

static int open_tunnel(void)
{
    int fd = try_tunnel();
    if (fd < 0)
        wrong("CONNECT was refused");
    return fd;
}

static void ping(int fd, size_t size)
{
    char data[PING_SIZE];

    memset(data, 'E', sizeof(data));
    send_whole(fd, data, size);
    if (recv(fd, data, size, MSG_WAITALL) != (ssize_t)size || data[0] != 'E')
        bench_fail("no echo");
}

static void measure_setup(size_t number)
{
    begin();
    while (goes_on(n_samples)) {
        uint64_t start = bench_now();
        int fd = open_tunnel();
        sample(start);
        ping(fd, 1);
        (void)close(fd);
    }
    print_samples();
}

static void measure_echo(size_t number)
{
    int fd = open_tunnel();

    for (int i = 0; i < 200; i++)
        ping(fd, PING_SIZE);
    begin();
    while (goes_on(n_samples)) {
        uint64_t start = bench_now();
        ping(fd, PING_SIZE);
        sample(start);
    }
    print_samples();
}

/* Tunnels that stay until standard input ends: as many as can be had. */
static void hold(size_t number)
{
    size_t held = 0;
    int fd;

    for (; held < number && (fd = try_tunnel()) >= 0; held++)
        ping(fd, 1);
    (void)printf("{\"count\": %zu}\n", held);
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
}

/* -- many at once -- */

struct lane { /* does one thing after the other, beside the other lanes */
    int fd;
    enum { CONNECTING, ASKED, PINGED, FETCHING } state;
    char answer[ANSWER_MAX];
    size_t size;
};

static int lanes_fd;

static void lane_connect(struct lane *lane)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = lane};

    lane->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    lane->state = CONNECTING;
    lane->size = 0;
    bench_check(lane->fd, "socket");
    bench_no_delay(lane->fd);
    if (connect(lane->fd, (const struct sockaddr *)&proxy, sizeof(proxy)) < 0 &&
        errno != EINPROGRESS)
        bench_fail("connect");
    bench_check(epoll_ctl(lanes_fd, EPOLL_CTL_ADD, lane->fd, &event), "epoll_ctl");
}

/* False: nothing more for now. An end of file is an empty answer. */
static bool lane_receive(struct lane *lane, bool *ended)
{
    ssize_t n = recv(lane->fd, lane->answer + lane->size, sizeof(lane->answer) - lane->size, 0);

    if (n < 0 && errno == EAGAIN)
        return false;
    if (n < 0)
        bench_fail("recv");
    lane->size += (size_t)n;
    *ended = n == 0;
    return true;
}

static bool head_is_whole(const struct lane *lane)
{
    return memmem(lane->answer, lane->size, "\r\n\r\n", 4) != NULL;
}

/* CONNECT, one byte there and back, end: one tunnel. Returns how many were finished. */
static size_t tunnel_step(struct lane *lane, uint32_t events)
{
    bool ended;

    if (lane->state == CONNECTING && (events & EPOLLOUT)) {
        send_whole(lane->fd, connect_head, connect_size);
        lane->state = ASKED;
    }
    while (lane->state != CONNECTING && lane_receive(lane, &ended)) {
        if (ended)
            wrong("a tunnel was cut");
        if (lane->state == ASKED && head_is_whole(lane)) {
            if (memcmp(lane->answer + 8, " 200", 4) != 0)
                wrong("CONNECT was refused");
            send_whole(lane->fd, "E", 1);
            lane->state = PINGED;
            lane->size = 0;
        } else if (lane->state == PINGED) {
            if (lane->answer[0] != 'E')
                wrong("no echo");
            (void)close(lane->fd);
            lane_connect(lane);
            return 1;
        }
    }
    return 0;
}

/* The size of the whole answer, 0 while its head is not there. */
static size_t answer_size(const struct lane *lane)
{
    const char *end = memmem(lane->answer, lane->size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    const char *length = memmem(lane->answer, lane->size, "ontent-Length: ", 15);
    if (memcmp(lane->answer + 8, " 200", 4) != 0 || !length)
        wrong("not the page");
    return (size_t)(end - lane->answer) + 4 + strtoul(length + 15, NULL, 10);
}

static void fetch(struct lane *lane)
{
    lane->size = 0;
    send_whole(lane->fd, get_head, get_size);
    lane->state = FETCHING;
}

/* A page after the other on one connection; where the proxy ends it, on another. */
static size_t fetch_step(struct lane *lane, uint32_t events)
{
    bool ended;
    size_t fetched = 0;

    if (lane->state == CONNECTING && (events & EPOLLOUT))
        fetch(lane);
    while (lane->state == FETCHING && lane_receive(lane, &ended)) {
        size_t size = answer_size(lane);
        bool whole = size > 0 && lane->size == size;
        if (ended && lane->size > 0)
            wrong("half a page");
        fetched += whole;
        if (ended || (whole && memmem(lane->answer, lane->size, "onnection: close", 16))) {
            (void)close(lane->fd);
            lane_connect(lane);
            return fetched;
        }
        if (whole)
            fetch(lane);
    }
    return fetched;
}

static void measure_lanes(size_t number, size_t (*step)(struct lane *, uint32_t))
{
    struct lane *lanes = calloc(number, sizeof(*lanes));
    struct epoll_event events[EVENTS];
    uint64_t start = begin(), count = 0;

    if (!lanes)
        bench_fail("calloc");
    lanes_fd = epoll_create1(EPOLL_CLOEXEC);
    bench_check(lanes_fd, "epoll_create1");
    for (size_t i = 0; i < number; i++)
        lane_connect(&lanes[i]);
    while (goes_on(count)) {
        int n = epoll_wait(lanes_fd, events, EVENTS, SILENCE_MAX);
        if (n == 0)
            wrong("nothing moves");
        for (int i = 0; i < n; i++)
            count += step(events[i].data.ptr, events[i].events);
    }
    print_rate(count, start);
}

static void measure_tunnels(size_t number)
{
    measure_lanes(number, tunnel_step);
}

static void measure_http(size_t number)
{
    measure_lanes(number, fetch_step);
}

/* Bytes are counted and not copied (MSG_TRUNC, tcp(7)), so that the reader is not what is slow. */
static void measure_bulk(size_t number)
{
    struct epoll_event events[EVENTS];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    uint64_t bytes = 0;

    for (size_t i = 0; i < number; i++) {
        int fd = open_tunnel();
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        send_whole(fd, "B", 1);
        bench_check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    uint64_t start = begin();
    while (goes_on(bytes)) {
        int n = epoll_wait(epoll_fd, events, EVENTS, SILENCE_MAX);
        if (n == 0)
            wrong("nothing moves");
        for (int i = 0; i < n; i++) {
            ssize_t size = recv(events[i].data.fd, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT);
            if (size == 0 || (size < 0 && errno != EAGAIN))
                bench_fail("a tunnel was cut");
            bytes += size > 0 ? (uint64_t)size : 0;
        }
    }
    print_rate(bytes, start);
}

static const struct {
    const char *name;
    void (*run)(size_t number);
} measures[] = {
    {"tunnels", measure_tunnels}, {"setup", measure_setup}, {"echo", measure_echo},
    {"bulk", measure_bulk},       {"http", measure_http},   {"hold", hold},
};

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fputs("usage: bench-load WHAT PROXY:PORT TARGET:PORT SECONDS NUMBER\n", stderr);
        return EXIT_FAILURE;
    }
    proxy = bench_address(argv[2]);
    connect_size = (size_t)snprintf(connect_head, sizeof(connect_head),
                                    "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[3], argv[3]);
    get_size = (size_t)snprintf(get_head, sizeof(get_head),
                                "GET http://%s/page HTTP/1.1\r\nHost: %s\r\n"
                                "User-Agent: bench\r\nAccept: */*\r\n\r\n",
                                argv[3], argv[3]);
    samples = malloc(SAMPLES_MAX * sizeof(samples[0]));
    if (!samples)
        bench_fail("malloc");
    duration = (uint64_t)(strtod(argv[4], NULL) * 1e9);
    for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++)
        if (strcmp(argv[1], measures[i].name) == 0) {
            measures[i].run(strtoul(argv[5], NULL, 10));
            return EXIT_SUCCESS;
        }
    wrong("no such measurement");
}
