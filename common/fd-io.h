/* Whole reads and writes, folders, descriptors over Unix sockets, sealed memory files. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ucred; /* sys/socket.h */

/* The most descriptors that one message can carry: the kernel's SCM_MAX_FD (unix(7)). */
#define SOCKET_DESCRIPTORS_MAX 253

/* Writes all of it, retrying after EINTR and waiting with poll(2) after EAGAIN. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* Reads to the end of file, at most `max` bytes. The result is followed by a NUL that `ret_size`
 * does not count, and belongs to the caller (free). -EFBIG if there is more than `max`. */
int fd_read_all(int fd, size_t max, char **ret, size_t *ret_size);

/* Opens `path` (O_RDONLY|O_CLOEXEC) and reads it as fd_read_all does. */
int file_read_all(const char *path, size_t max, char **ret, size_t *ret_size);

/* Makes a folder, 0755, unless it is there. 0 or -errno. */
int folder_make(const char *path);

/* One sendmsg(2) with MSG_NOSIGNAL of data and, with its first byte, copies of the descriptors
 * (SCM_RIGHTS, unix(7)); `fds` stay the caller's. Returns the bytes taken (for a stream maybe
 * fewer than asked), or -errno (-EAGAIN too; -E2BIG for more than SOCKET_DESCRIPTORS_MAX
 * descriptors). size > 0. */
ssize_t socket_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds);

/* One recvmsg(2) (MSG_CMSG_CLOEXEC). Returns the bytes received, 0 at the end of file, or -errno.
 * With room for SOCKET_DESCRIPTORS_MAX none is ever closed in here for want of room.
 * On success `ret_fds` holds `*ret_n_fds` descriptors that are the caller's to close. -EBADMSG
 * where data or descriptors did not fit (descriptors that came are closed). */
ssize_t socket_receive(int fd, void *data, size_t size, int *ret_fds, size_t max_fds,
                       size_t *ret_n_fds);

/* The same of a socket with SO_PASSCRED (unix(7)), which tells who sent these bytes: all of them
 * came from one process with that real uid and gid. The pid is 0 if the kernel did not note who it
 * was (the uid is that of nobody then), or if it is in a PID namespace that cannot be seen. */
ssize_t socket_receive_from(int fd, void *data, size_t size, int *ret_fds, size_t max_fds,
                            size_t *ret_n_fds, struct ucred *ret_sender);

/* A memfd with this content that nobody can change any more: F_SEAL_WRITE, SHRINK, GROW and SEAL
 * (memfd_create(2)). Returns the descriptor (O_CLOEXEC, at offset 0) or -errno. */
int memfd_new_sealed(const char *name, const void *data, size_t size);

/* Maps such a memfd read-only; -EPERM if one of the seals is missing, -EFBIG if over `max`,
 * -ENODATA if empty. The mapping is the caller's (munmap). */
int memfd_map_sealed(int fd, size_t max, const void **ret, size_t *ret_size);
