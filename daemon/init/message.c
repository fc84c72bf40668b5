/* The messages to cagedd; the contract stands in the header. */
#include "message.h"

#include <sys/socket.h>

#include "fd-io.h"
#include "init-spec.h"
#include "records.h"
#include "util.h"

#define DETAIL_MAX 512

/* A writer that puts into this buffer. records.c only allocates when it is full, and the messages
 * here are far smaller: three records, a step's name, a cut detail. */
#define BUFFER_SIZE 1024
#define WRITER_ON(buffer)                                                                          \
    {                                                                                              \
        .data = (buffer), .allocated = sizeof(buffer),                                             \
    }

static int send_records(int control, const struct records_writer *w, const int *fds, size_t n_fds)
{
    if (w->error)
        return w->error;
    ssize_t n = socket_send(control, w->data, w->size, fds, n_fds);
    return n < 0 ? (int)n : 0;
}

int message_send_started(int control, const int *fds, size_t n_fds)
{
    uint8_t buffer[BUFFER_SIZE];
    struct records_writer w = WRITER_ON(buffer);

    (void)records_put(&w, INIT_MESSAGE_STARTED, NULL, 0);
    return send_records(control, &w, fds, n_fds);
}

/* For the last message: takes what was sent to us and forbids more. A socket that is closed with a
 * message unread makes its peer lose what it has not read (ECONNRESET, unix(7)); GO may well cross
 * a FAILED. */
static int send_last(int control, const struct records_writer *w)
{
    uint8_t unread[8];
    int r = send_records(control, w, NULL, 0);

    (void)shutdown(control, SHUT_RD);
    while (recv(control, unread, sizeof(unread), MSG_DONTWAIT) > 0)
        ;
    return r;
}

int message_send_exited(int control, int wait_status)
{
    uint8_t buffer[BUFFER_SIZE];
    struct records_writer w = WRITER_ON(buffer);

    (void)records_put_u64(&w, INIT_MESSAGE_EXITED, (uint64_t)(unsigned)wait_status);
    return send_last(control, &w);
}

int message_send_failed(int control, const struct failure *failure, int error)
{
    uint8_t buffer[BUFFER_SIZE];
    char detail[DETAIL_MAX];
    struct records_writer w = WRITER_ON(buffer);

    (void)records_put_string(&w, INIT_MESSAGE_FAILED, failure->step);
    (void)records_put_u64(&w, INIT_MESSAGE_ERRNO, (uint64_t)-error);
    if (failure->detail) {
        size_t length = strnlen(failure->detail, sizeof(detail) - 1);
        memcpy(detail, failure->detail, length);
        detail[length] = 0;
        (void)records_put_string(&w, INIT_MESSAGE_DETAIL, detail);
    }
    return send_last(control, &w);
}

int message_wait_go(int control)
{
    uint8_t buffer[64];
    struct records_reader reader = {.data = buffer};
    struct record record;
    size_t n_fds;
    ssize_t n = socket_receive(control, buffer, sizeof(buffer), NULL, 0, &n_fds);

    if (n < 0)
        return (int)n;
    if (n == 0)
        return -ECONNRESET;
    reader.size = (size_t)n;
    if (records_next(&reader, &record) != 1 || record.type != INIT_MESSAGE_GO || record.size != 0 ||
        reader.offset != reader.size)
        return -EBADMSG;
    return 0;
}
