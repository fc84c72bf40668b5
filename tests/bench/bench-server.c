/* The other end of every measurement: bench-server ADDRESS:PORT.
 *
 * A connection says by its first bytes what it wants. "CONNECT ..." (no proxy, or the bare relay,
 * which does not read it) is answered with 200 as a proxy would, and what follows counts as the
 * first bytes. "E" wants all that it sends back, the E too. "B" is sent bytes without end. "GET"
 * and what else looks like HTTP is answered with a page of 1 KiB, and the connection stays open. */
#include <stdbool.h>
#include <sys/epoll.h>

#include "bench-net.h"

#define PAGE_SIZE 1024
#define HEAD_MAX 4096
#define EVENTS 256

static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
static char page[PAGE_SIZE + 256];
static size_t page_size;
static char bulk[256 * 1024];

static struct client {
    enum { UNDECIDED, ECHO, BULK } mode;
    size_t head_size;
    char *head; /* kept for the next connection of the same number */
} clients[BENCH_DESCRIPTORS_MAX];

static void end(int fd)
{
    (void)close(fd);
}

/* All of it: the answers are far smaller than a socket's buffer. */
static bool say(int fd, const char *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool begin_bulk(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
    clients[fd].mode = BULK;
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0;
}

/* The head that is whole in `client`, and what follows it. False: the connection ends. */
static bool answer_heads(struct client *client, int fd)
{
    const char *found;

    while ((found = memmem(client->head, client->head_size, "\r\n\r\n", 4))) {
        size_t size = (size_t)(found - client->head) + 4;
        bool connect = client->head[0] == 'C';
        if (!(connect ? say(fd, established, sizeof(established) - 1) : say(fd, page, page_size)))
            return false;
        client->head_size -= size;
        memmove(client->head, client->head + size, client->head_size);
    }
    return client->head_size < HEAD_MAX;
}

static bool read_undecided(int epoll_fd, int fd)
{
    struct client *client = &clients[fd];

    if (!client->head && !(client->head = malloc(HEAD_MAX)))
        bench_fail("malloc");
    ssize_t n =
        recv(fd, client->head + client->head_size, HEAD_MAX - client->head_size, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    client->head_size += (size_t)n;
    if (!answer_heads(client, fd))
        return false;
    if (client->head_size > 0 && client->head[0] == 'B')
        return begin_bulk(epoll_fd, fd);
    if (client->head_size == 0 || client->head[0] != 'E')
        return true;
    client->mode = ECHO;
    return say(fd, client->head, client->head_size);
}

static bool echo(int fd)
{
    static char data[64 * 1024];
    ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    return say(fd, data, (size_t)n);
}

static bool send_bulk(int fd, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        return false;
    return send(fd, bulk, sizeof(bulk), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN;
}

static void accept_all(int epoll_fd, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= BENCH_DESCRIPTORS_MAX)
            bench_fail("too many connections");
        clients[fd].mode = UNDECIDED;
        clients[fd].head_size = 0;
        bench_check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        bench_fail("accept");
}

static void serve(int epoll_fd, int fd, uint32_t events)
{
    bool stays = clients[fd].mode == UNDECIDED ? read_undecided(epoll_fd, fd)
                 : clients[fd].mode == ECHO    ? echo(fd)
                                               : send_bulk(fd, events);
    if (!stays)
        end(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 2) {
        (void)fputs("usage: bench-server ADDRESS:PORT\n", stderr);
        return EXIT_FAILURE;
    }
    page_size = (size_t)snprintf(page, sizeof(page),
                                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: %d\r\n\r\n%*s",
                                 PAGE_SIZE, PAGE_SIZE, "end");
    int listener = bench_listen(argv[1]);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    bench_check(epoll_fd, "epoll_create1");
    bench_check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
    (void)puts("ready");
    (void)fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll_fd, listener);
            else
                serve(epoll_fd, events[i].data.fd, events[i].events);
        }
    }
}
