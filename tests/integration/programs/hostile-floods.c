/* Much of everything. While it lasts the test looks at the daemon. */
#include "hostile.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define MANY_MAX 4096

static int fds[MANY_MAX];

static size_t number(const struct target *target)
{
    struct rlimit limit;
    size_t n = target->arguments[0] ? strtoul(target->arguments[0], NULL, 10) : 0;

    if (n == 0 || n > MANY_MAX)
        die("how many?");
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    return n;
}

static bool send_at_once(int fd, const char *data, size_t size)
{
    return send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

/* So many connections, each with half a request that has a descriptor. */
int attack_many(const struct target *target)
{
    static const char half[] = "{\"method\":";
    size_t n = number(target), ended = 0;

    for (size_t i = 0; i < n; i++)
        fds[i] = wire_connect(target);
    for (size_t i = 0; i < n; i++)
        (void)wire_send(fds[i], half, strlen(half), &(int){STDIN_FILENO}, 1);
    wait_for_test("now");
    for (size_t i = 0; i < n; i++) { /* who was turned away has the reason there and the end */
        struct pollfd wait = {.fd = fds[i], .events = POLLIN};
        ended += poll(&wait, 1, 0) == 1;
        fd_close(fds[i]);
    }
    printf("ended\t%zu\n", ended);
    return EXIT_SUCCESS;
}

/* So many connections, each with as many calls as the socket takes, whose replies are large and
 * that nobody reads. The call is the next argument. */
int attack_deaf(const struct target *target)
{
    size_t n = number(target), sent = 0;
    const char *call = target->arguments[1];

    for (size_t i = 0; i < n; i++) {
        fds[i] = wire_connect(target);
        (void)setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    }
    for (size_t i = 0; i < n; i++)
        while (send_at_once(fds[i], call, strlen(call) + 1))
            sent++;
    printf("sent\t%zu\n", sent);
    wait_for_test("now");
    return EXIT_SUCCESS;
}

/* A message that has no end, of white space; or of brackets, or within a string. */
int attack_endless(const struct target *target)
{
    static char block[65536];
    static const struct {
        const char *name, *before;
        char filling;
    } rows[] = {{"spaces", "", ' '}, {"brackets", "{\"a\":", '['}, {"string", "{\"", 'x'}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int fd = wire_connect(target);
        size_t sent = 0;
        memset(block, rows[i].filling, sizeof(block));
        bool open = wire_send(fd, rows[i].before, strlen(rows[i].before), NULL, 0);
        while (open && sent < (size_t)1 << 30) {
            open = wire_send(fd, block, sizeof(block), NULL, 0);
            sent += sizeof(block);
        }
        printf("%s\t%s\n", rows[i].name, open ? "taken" : "ended");
        fd_close(fd);
    }
    return EXIT_SUCCESS;
}

/* Empty messages without end, on so many connections, for as long as the test likes. */
int attack_nuls(const struct target *target)
{
    static const char block[65536];
    size_t n = number(target), sent = 0;
    struct pollfd test = {.fd = STDIN_FILENO, .events = POLLIN};

    for (size_t i = 0; i < n; i++)
        fds[i] = wire_connect(target);
    (void)puts("now");
    (void)fflush(stdout);
    while (poll(&test, 1, 0) == 0)
        for (size_t i = 0; i < n; i++) {
            ssize_t size = send(fds[i], block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);
            sent += size > 0 ? (size_t)size : 0;
        }
    printf("sent\t%zu\n", sent);
    return EXIT_SUCCESS;
}

/* Descriptors whose queues are full of descriptors: sockets in sockets, some levels deep, the
 * daemon's own among them. The daemon's copy of each is the last one. */
int attack_queued(const struct target *target)
{
    size_t answered = 0;
    char reply[TEXT_MAX];

    for (int round = 0; round < 20; round++) {
        int connection = wire_connect(target), other = wire_connect(target);
        int inner = other;
        for (int depth = 0; depth < 4; depth++) { /* too deep is for the kernel to refuse */
            int pair[2];
            if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                die("socketpair");
            for (int full = 0; full < 64; full++) {
                union {
                    char bytes[CMSG_SPACE(sizeof(int))];
                    struct cmsghdr align;
                } control = {.align = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
                struct iovec iov = {.iov_base = (void *)"x", .iov_len = 1};
                struct msghdr message = {.msg_iov = &iov,
                                         .msg_iovlen = 1,
                                         .msg_control = control.bytes,
                                         .msg_controllen = sizeof(control.bytes)};
                memcpy(CMSG_DATA(&control.align), &inner, sizeof(inner));
                if (sendmsg(pair[0], &message, MSG_NOSIGNAL) < 0)
                    break;
            }
            fd_close(inner);
            fd_close(pair[0]);
            inner = pair[1];
        }
        bool is_sent = wire_call(connection, "{\"method\":\"io.caged.List\"}", &inner, 1);
        fd_close(inner);
        answered += is_sent && wire_receive(connection, reply, sizeof(reply));
        fd_close(connection);
    }
    printf("answered\t%zu\n", answered);
    return EXIT_SUCCESS;
}
