/* The few macros and inline helpers that every file may use: cleanup attributes, moving ownership
 * out of a variable, sizes of arrays. No state, nothing that allocates. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

#define CLEANUP(function) __attribute__((__cleanup__(function)))
#define PRINTF_LIKE(format, first) __attribute__((__format__(__printf__, format, first)))
#define NORETURN __attribute__((__noreturn__))

/* Gives the value and leaves nothing behind: what a variable with a cleanup attribute owned now
 * belongs to whoever takes the result. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *take_from_ = &(p);                                                          \
        __typeof__(p) taken_ = *take_from_;                                                        \
        *take_from_ = NULL;                                                                        \
        taken_;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int *take_from_ = &(fd);                                                                   \
        int taken_ = *take_from_;                                                                  \
        *take_from_ = -EBADF;                                                                      \
        taken_;                                                                                    \
    })

/* The object that `pointer`, the address of its member, lies in. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A macro's number as part of a string literal. */
#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

/* Closes a valid descriptor, ignores a negative one, keeps errno; returns -EBADF so that
 * `fd = fd_close(fd)` leaves nothing stale. */
static inline int fd_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
    }
    return -EBADF;
}

static inline void fd_closep(int *fd)
{
    *fd = fd_close(*fd);
}

static inline void freep(void *p)
{
    free(*(void **)p);
}

#define AUTO_FD CLEANUP(fd_closep)
#define AUTO_FREE CLEANUP(freep)

/* Defines `name##p` for CLEANUP(name##p), from a `type *name(type *)` that takes NULL. */
#define DEFINE_CLEANUP(type, name)                                                                 \
    static inline void name##p(type **p)                                                           \
    {                                                                                              \
        *p = name(*p);                                                                             \
    }                                                                                              \
    struct name##_cleanup_swallows_semicolon

static inline bool streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* NULL equals NULL only. */
static inline bool streq_null(const char *a, const char *b)
{
    return a && b ? streq(a, b) : a == b;
}

static inline bool has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The value of a hexadecimal digit, -1 for any other character. */
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* errno as a negative number, never zero: for the line after a call that failed. */
static inline int negative_errno(void)
{
    return errno > 0 ? -errno : -EIO;
}
