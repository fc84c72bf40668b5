/* A growing buffer for a head that comes in pieces. Small at first, empty when not needed. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct buffer {
    char *data;
    size_t size;
    size_t allocated;
};

void buffer_deinit(struct buffer *buffer);

/* One recv(2) behind what is there. Returns the bytes received, 0 at the end of file, -EFBIG if the
 * buffer already holds `max`, or -errno. */
ssize_t buffer_receive(struct buffer *buffer, int fd, size_t max);

/* Adds to what is there, without bound. 0 or -ENOMEM. */
int buffer_append(struct buffer *buffer, const char *data, size_t size);

/* Takes away the first bytes. Memory goes back if nothing is left and it was much. */
void buffer_drop(struct buffer *buffer, size_t size);
