/* See net.h. */
#include "net.h"

#include <sys/socket.h>

#include "util.h"

/* Also of a connection that is already under way, which costs less than to wait for the answer of
 * epoll: from this machine, or one near by, it has come. 1: connected; 0: not yet; or -errno. */
static int try_connect(int fd, const struct sockaddr *to, socklen_t size)
{
    if (connect(fd, to, size) == 0)
        return 1;
    return errno == EINPROGRESS || errno == EALREADY ? 0 : negative_errno();
}

int net_dial(const struct ip_address *address, uint16_t port, bool *ret_connected)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    const struct sockaddr *to = (const struct sockaddr *)&v4;
    socklen_t size = sizeof(v4);
    AUTO_FD int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return negative_errno();
    if (address->family == AF_INET6) {
        v6.sin6_addr = address->v6;
        to = (const struct sockaddr *)&v6;
        size = sizeof(v6);
    } else {
        v4.sin_addr = address->v4;
    }
    int r = try_connect(fd, to, size);
    if (r == 0)
        r = try_connect(fd, to, size);
    if (r < 0)
        return r;
    *ret_connected = r > 0;
    return TAKE_FD(fd);
}

int net_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return negative_errno();
    return -error;
}

int net_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    return fd_close(fd);
}
