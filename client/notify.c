/* Messages to systemd; the contract stands in the header. */
#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A path, or with @ before it a name of the abstract namespace (unix(7)). */
static int address_of(const char *name, struct sockaddr_un *ret, socklen_t *ret_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || name[1] == 0)
        return -EAFNOSUPPORT;
    if (length >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = 0;
    *ret = address;
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
    return 0;
}

int notify_send(const char *format, ...)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    AUTO_FREE char *text = NULL;
    socklen_t size;
    va_list arguments;

    if (!name || !*name)
        return 0;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n < 0) {
        text = NULL;
        return -ENOMEM;
    }
    int r = address_of(name, &address, &size);
    if (r < 0)
        return r;
    AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 ||
        sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (const struct sockaddr *)&address, size) < 0)
        return negative_errno();
    return 1;
}
