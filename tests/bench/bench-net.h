/* What the programs of the benchmark of the gate share: they stop at the first thing that goes
 * wrong, since a figure of a run with faults is none. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BENCH_DESCRIPTORS_MAX 8192
#define BENCH_LISTEN_BACKLOG 4096

static inline _Noreturn void bench_fail(const char *what)
{
    (void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(EXIT_FAILURE);
}

static inline void bench_check(int r, const char *what)
{
    if (r < 0)
        bench_fail(what);
}

static inline uint64_t bench_now(void) /* nanoseconds */
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "ADDRESS:PORT", IPv4. */
static inline struct sockaddr_in bench_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strchr(text, ':');

    errno = EINVAL;
    if (!colon || (size_t)(colon - text) >= sizeof(host))
        bench_fail(text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        bench_fail(text);
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    return address;
}

static inline void bench_no_delay(int fd)
{
    const int on = 1;
    bench_check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
}

static inline int bench_listen(const char *where)
{
    const struct sockaddr_in address = bench_address(where);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    bench_check(fd, "socket");
    bench_check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
    bench_no_delay(fd); /* what is accepted inherits it */
    bench_check(bind(fd, (const struct sockaddr *)&address, sizeof(address)), where);
    bench_check(listen(fd, BENCH_LISTEN_BACKLOG), "listen");
    return fd;
}
