/* See net.h. */
#include "net.h"

#include <sys/socket.h>

#include "util.h"

int net_dial(const struct ip_address *address, uint16_t port)
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
    if (connect(fd, to, size) < 0 && errno != EINPROGRESS)
        return negative_errno();
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
