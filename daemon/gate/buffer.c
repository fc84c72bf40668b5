/* See buffer.h. */
#include "buffer.h"

#include <sys/socket.h>

#include "util.h"

#define FIRST_SIZE 2048

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

ssize_t buffer_receive(struct buffer *buffer, int fd, size_t max)
{
    if (buffer->size >= max)
        return -EFBIG;
    if (buffer->size == buffer->allocated) {
        size_t more = MIN_OF(MAX_OF(buffer->allocated * 2, (size_t)FIRST_SIZE), max);
        char *data = realloc(buffer->data, more);
        if (!data)
            return -ENOMEM;
        buffer->data = data;
        buffer->allocated = more;
    }
    ssize_t n = recv(fd, buffer->data + buffer->size, buffer->allocated - buffer->size, 0);
    if (n < 0)
        return negative_errno();
    buffer->size += (size_t)n;
    return n;
}

int buffer_append(struct buffer *buffer, const char *data, size_t size)
{
    if (buffer->allocated - buffer->size < size) {
        char *grown = realloc(buffer->data, buffer->size + size);
        if (!grown)
            return -ENOMEM;
        buffer->data = grown;
        buffer->allocated = buffer->size + size;
    }
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return 0;
}

void buffer_drop(struct buffer *buffer, size_t size)
{
    if (size == 0)
        return;
    buffer->size -= size;
    if (buffer->size > 0)
        memmove(buffer->data, buffer->data + size, buffer->size);
    else if (buffer->allocated > FIRST_SIZE)
        buffer_deinit(buffer);
}
