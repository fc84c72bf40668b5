/* Whole reads and writes, folders, descriptors over Unix sockets, sealed memory files. */
#include "fd-io.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "util.h"

#define SEALS_WANTED (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int fd_write_all(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;

    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n >= 0) {
            p += n;
            size -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            if (poll(&wait, 1, -1) < 0 && errno != EINTR)
                return negative_errno();
        } else if (errno != EINTR) {
            return negative_errno();
        }
    }
    return 0;
}

int fd_read_all(int fd, size_t max, char **ret, size_t *ret_size)
{
    AUTO_FREE char *data = NULL;
    size_t size = 0, allocated = 0;

    for (;;) {
        if (size == allocated) {
            allocated = MIN_OF(MAX_OF(allocated * 2, (size_t)4096), max + 1);
            char *more = realloc(data, allocated + 1);
            if (!more)
                return -ENOMEM;
            data = more;
        }
        ssize_t n = read(fd, data + size, allocated - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return negative_errno();
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > max)
            return -EFBIG;
    }
    data[size] = 0;
    *ret = TAKE_PTR(data);
    *ret_size = size;
    return 0;
}

int file_read_all(const char *path, size_t max, char **ret, size_t *ret_size)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return negative_errno();
    return fd_read_all(fd, max, ret, ret_size);
}

int folder_make(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? negative_errno() : 0;
}

ssize_t socket_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * SOCKET_DESCRIPTORS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

    if (n_fds > SOCKET_DESCRIPTORS_MAX)
        return -E2BIG;
    if (n_fds > 0) {
        memset(control.bytes, 0, CMSG_SPACE(sizeof(int) * n_fds));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    for (;;) {
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return negative_errno();
    }
}

static void close_many(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fd_close(fds[i]);
}

/* Takes the descriptors out of a received message; closes those for which there is no room. */
static bool take_descriptors(struct msghdr *message, int *ret_fds, size_t max, size_t *ret_n)
{
    bool fits = !(message->msg_flags & MSG_CTRUNC);
    size_t taken = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (taken < max) {
                ret_fds[taken++] = fd;
            } else {
                fd_close(fd);
                fits = false;
            }
        }
    }
    *ret_n = taken;
    return fits;
}

static struct ucred get_sender(struct msghdr *message)
{
    struct ucred sender = {.uid = (uid_t)-1, .gid = (gid_t)-1};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
            c->cmsg_len == CMSG_LEN(sizeof(sender)))
            memcpy(&sender, CMSG_DATA(c), sizeof(sender));
    return sender;
}

ssize_t socket_receive(int fd, void *data, size_t size, int *ret_fds, size_t max_fds,
                       size_t *ret_n_fds)
{
    struct ucred sender;

    return socket_receive_from(fd, data, size, ret_fds, max_fds, ret_n_fds, &sender);
}

ssize_t socket_receive_from(int fd, void *data, size_t size, int *ret_fds, size_t max_fds,
                            size_t *ret_n_fds, struct ucred *ret_sender)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * SOCKET_DESCRIPTORS_MAX) +
                   CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    int fds[SOCKET_DESCRIPTORS_MAX];
    size_t n_fds = 0;
    ssize_t n;

    do
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return negative_errno();

    max_fds = MIN_OF(max_fds, ARRAY_SIZE(fds));
    bool fits = take_descriptors(&message, fds, max_fds, &n_fds);
    if (!fits || (message.msg_flags & MSG_TRUNC)) {
        close_many(fds, n_fds);
        return -EBADMSG;
    }
    if (n_fds > 0)
        memcpy(ret_fds, fds, sizeof(int) * n_fds);
    *ret_n_fds = n_fds;
    *ret_sender = get_sender(&message);
    return n;
}

int memfd_new_sealed(const char *name, const void *data, size_t size)
{
    AUTO_FD int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return negative_errno();
    r = fd_write_all(fd, data, size);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, SEALS_WANTED) < 0)
        return negative_errno();
    return TAKE_FD(fd);
}

int memfd_map_sealed(int fd, size_t max, const void **ret, size_t *ret_size)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0)
        return negative_errno();
    if ((seals & SEALS_WANTED) != SEALS_WANTED)
        return -EPERM;
    if (fstat(fd, &st) < 0)
        return negative_errno();
    if (st.st_size <= 0)
        return -ENODATA;
    if ((uint64_t)st.st_size > max)
        return -EFBIG;

    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return negative_errno();
    *ret = map;
    *ret_size = (size_t)st.st_size;
    return 0;
}
