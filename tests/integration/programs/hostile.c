/* A client of cagedd's that wants to harm.
 *
 *   hostile SOCKET FOLDER ATTACK [ARGUMENT]...
 *
 * Run as a member of the daemon's group by test_hostile_bytes.py, which looks at the daemon after
 * each attack. */
#include "hostile.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FDS_MAX 253 /* the kernel's SCM_MAX_FD */

void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

int wire_connect(const struct target *target)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(target->socket) >= sizeof(address.sun_path))
        die("socket");
    memcpy(address.sun_path, target->socket, strlen(target->socket) + 1);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    return fd;
}

ssize_t wire_send_fds(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
        struct cmsghdr align;
    } control = {};
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (n_fds > FDS_MAX)
        die("too many descriptors for one message");
    if (n_fds > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int) * n_fds),
                                   .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

bool wire_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
    while (size > 0) {
        ssize_t n = wire_send_fds(fd, data, size, fds, n_fds);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return false;
        if (n < 0)
            die("send");
        data = (const char *)data + n;
        size -= (size_t)n;
        n_fds = 0;
    }
    return true;
}

bool wire_call(int fd, const char *text, const int *fds, size_t n_fds)
{
    return wire_send(fd, text, strlen(text) + 1, fds, n_fds);
}

/* One byte at a time, so that nothing of the next message is taken. */
bool wire_receive(int fd, char *buffer, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, REPLY_SECONDS * 1000) != 1) {
            errno = ETIMEDOUT;
            die("no reply");
        }
        ssize_t n = recv(fd, &buffer[i], 1, 0); /* descriptors are dropped: there is no room */
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return false;
        if (n < 0)
            die("receive");
        if (buffer[i] == 0)
            return true;
    }
    errno = EMSGSIZE;
    die("reply");
}

/* Of "KEY":"VALUE". */
static bool find_value(const char *reply, const char *key, char *buffer, size_t size)
{
    char start[32];

    (void)snprintf(start, sizeof(start), "\"%s\":\"", key);
    const char *found = strstr(reply, start);
    if (!found)
        return false;
    found += strlen(start);
    (void)snprintf(buffer, size, "%.*s", (int)strcspn(found, "\""), found);
    return true;
}

const char *wire_error(const char *reply)
{
    static char name[128];

    return find_value(reply, "error", name, sizeof(name)) ? name : "ok";
}

static char last_reply[TEXT_MAX];

const char *wire_last_what(void)
{
    static char what[128];

    return find_value(last_reply, "what", what, sizeof(what)) ? what : "-";
}

const char *wire_ask(const struct target *target, const char *text, const int *fds, size_t n_fds)
{
    int fd = wire_connect(target);
    bool answered =
        wire_call(fd, text, fds, n_fds) && wire_receive(fd, last_reply, sizeof(last_reply));

    fd_close(fd);
    return answered ? wire_error(last_reply) : "ended";
}

void wait_for_test(const char *word)
{
    char line[16];

    (void)puts(word);
    (void)fflush(stdout);
    (void)!fgets(line, sizeof(line), stdin);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct target *target);
    } attacks[] = {
        {"frames", attack_frames},
        {"flags", attack_flags},
        {"bytewise", attack_bytewise},
        {"fields", attack_fields},
        {"descriptors", attack_descriptors},
        {"many", attack_many},
        {"deaf", attack_deaf},
        {"endless", attack_endless},
        {"nuls", attack_nuls},
        {"queued", attack_queued},
        {"spawn", attack_spawn},
        {"swap", attack_swap},
    };

    if (argc < 4)
        return EXIT_FAILURE;
    (void)signal(SIGPIPE, SIG_IGN);
    const struct target target = {.socket = argv[1], .folder = argv[2], .arguments = argv + 4};
    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++)
        if (streq(attacks[i].name, argv[3]))
            return attacks[i].run(&target);
    return EXIT_FAILURE;
}
