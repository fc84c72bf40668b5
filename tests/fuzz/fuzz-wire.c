/* Fuzzes common/varlink-stream.c through a real socket pair: the input is cut into pieces that are
 * sent one by one, some with a descriptor. Besides what the sanitizers find, it holds the stream
 * to its contract: no descriptor is left, none is in a message of which no byte came with one. */
#include <fcntl.h>
#include <sys/socket.h>

#include "fd-io.h"
#include "fuzz.h"
#include "varlink-stream.h"

#define MESSAGE_MAX 4096

/* The lowest free descriptor: the same before and after, or one was left open. */
static int lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    require(fd >= 0);
    fd_close(fd);
    return fd;
}

/* Takes all whole messages. Every second descriptor is taken out, as a method would. */
static size_t take_messages(struct varlink_stream *stream)
{
    struct varlink_message message;
    struct json_text_error error;
    size_t n_fds = 0;
    int r;

    while ((r = varlink_stream_next(stream, &message, &error)) != 0) {
        if (r < 0)
            continue;
        require(json_is_object(message.json));
        require(message.n_fds <= WIRE_DESCRIPTORS_MAX);
        n_fds += message.n_fds;
        for (size_t i = 0; i < message.n_fds; i += 2) {
            int fd = varlink_message_take_fd(&message, (json_int_t)i);
            require(fd >= 0);
            fd_close(fd);
        }
        require(varlink_stream_queue(stream, message.json, NULL, 0) == 0);
        varlink_message_deinit(&message);
    }
    return n_fds;
}

/* Each piece: one byte says how long it is (7 bits) and whether a descriptor goes with it. */
static void feed(struct varlink_stream *stream, int peer, const uint8_t *data, size_t size)
{
    size_t sent_fds = 0, taken_fds = 0;

    while (size > 1) {
        size_t n = MIN_OF((size_t)(data[0] & 0x7f) + 1, size - 1);
        size_t n_fds = data[0] >> 7;
        ssize_t sent = socket_send(peer, data + 1, n, &peer, n_fds);
        require(sent == (ssize_t)n);
        sent_fds += n_fds;
        if (varlink_stream_read(stream) != 1)
            return;
        if (n % 3 != 0)
            taken_fds += take_messages(stream);
        data += n + 1;
        size -= n + 1;
    }
    taken_fds += take_messages(stream);
    require(taken_fds <= sent_fds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int before = lowest_free();
    int pair[2];

    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct varlink_stream *stream = varlink_stream_new(pair[0], MESSAGE_MAX);
    require(stream != NULL);
    feed(stream, pair[1], data, size);
    (void)varlink_stream_flush(stream);
    varlink_stream_free(stream);
    fd_close(pair[1]);
    require(lowest_free() == before);
    return 0;
}
