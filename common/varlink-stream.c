/* Varlink framing on a Unix stream socket.
 *
 * Input: one flat buffer of at most one greatest message and its NUL; `start` moves over the
 * messages that were taken, `scanned` over bytes that are known to hold no NUL. Descriptors wait
 * in `pending`, each with the position of the last byte that was read with it, until the message
 * in which that byte lies is taken.
 *
 * Output: a list of whole messages. Each keeps its descriptors until its first byte is sent, since
 * that sendmsg(2) hands them over; they are closed right after. */
#include "varlink-stream.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "fd-io.h"

#define INPUT_ROOM_MIN ((size_t)4096) /* free bytes to read into; also kept by an idle stream */

/* All of one unfinished message, and all of the messages before it that were not taken yet. */
#define PENDING_MAX ((size_t)4 * WIRE_DESCRIPTORS_MAX)

struct pending_fd {
    int fd;
    size_t last; /* index in `input` of the last byte read with it */
};

struct output {
    struct output *next;
    size_t size;
    size_t sent;
    int fds[WIRE_DESCRIPTORS_MAX]; /* own copies, until the first byte is sent */
    size_t n_fds;
    char *text; /* the NUL at its end is part of `size` */
};

struct varlink_stream {
    int fd;
    size_t max_message;
    varlink_closer closer;
    void *closer_user;
    varlink_sender_check check;
    void *check_user;

    char *input;
    size_t allocated;
    size_t start;   /* of the first message that was not taken */
    size_t scanned; /* start <= scanned <= end: no NUL from start up to here */
    size_t end;
    struct pending_fd pending[PENDING_MAX];
    size_t n_pending;

    struct output *first;
    struct output **tail; /* where the next one is hung */
    size_t pending_output;
};

static void fds_close(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = fd_close(fds[i]);
}

/* Closes descriptors of the peer's. */
static void peer_fds_close(varlink_closer closer, void *user, int *fds, size_t n)
{
    size_t kept = 0;

    if (!closer) {
        fds_close(fds, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0) /* not taken */
            fds[kept++] = fds[i];
    if (kept > 0)
        closer(user, fds, kept);
}

void varlink_message_deinit(struct varlink_message *message)
{
    peer_fds_close(message->closer, message->closer_user, message->fds, message->n_fds);
    message->n_fds = 0;
    json_decref(message->json);
    message->json = NULL;
}

int varlink_message_borrow_fd(const struct varlink_message *message, json_int_t index)
{
    if (index < 0 || (json_int_t)message->n_fds <= index || message->fds[index] < 0)
        return -ERANGE;
    return message->fds[index];
}

int varlink_message_take_fd(struct varlink_message *message, json_int_t index)
{
    int fd = varlink_message_borrow_fd(message, index);

    if (fd >= 0)
        message->fds[index] = -EBADF;
    return fd;
}

static struct output *output_free(struct output *output)
{
    if (!output)
        return NULL;
    fds_close(output->fds, output->n_fds);
    free(output->text);
    free(output);
    return NULL;
}
DEFINE_CLEANUP(struct output, output_free);

struct varlink_stream *varlink_stream_new(int fd, size_t max_message)
{
    struct varlink_stream *stream = calloc(1, sizeof(*stream));

    if (!stream) {
        fd_close(fd);
        return NULL;
    }
    stream->fd = fd;
    stream->max_message = max_message;
    stream->tail = &stream->first;
    return stream;
}

static void pending_close(struct varlink_stream *stream)
{
    int fds[PENDING_MAX];

    for (size_t i = 0; i < stream->n_pending; i++)
        fds[i] = stream->pending[i].fd;
    peer_fds_close(stream->closer, stream->closer_user, fds, stream->n_pending);
}

/* What was not read goes with the socket, and more of the peer's descriptors may be in it. */
static void socket_close(struct varlink_stream *stream)
{
    int unread = 0;

    if (stream->closer) {
        (void)shutdown(stream->fd, SHUT_RD); /* no more comes to it */
        (void)ioctl(stream->fd, FIONREAD, &unread);
    }
    if (unread > 0)
        stream->closer(stream->closer_user, &stream->fd, 1);
    else
        fd_close(stream->fd);
}

struct varlink_stream *varlink_stream_free(struct varlink_stream *stream)
{
    if (!stream)
        return NULL;
    while (stream->first) {
        struct output *next = stream->first->next;
        output_free(stream->first);
        stream->first = next;
    }
    pending_close(stream);
    socket_close(stream);
    free(stream->input);
    free(stream);
    return NULL;
}

void varlink_stream_set_closer(struct varlink_stream *stream, varlink_closer closer, void *user)
{
    stream->closer = closer;
    stream->closer_user = user;
}

int varlink_stream_fd(const struct varlink_stream *stream)
{
    return stream->fd;
}

/* Moves what is in the buffer to its beginning; positions move along. */
static void input_compact(struct varlink_stream *stream)
{
    if (stream->start == 0)
        return;
    memmove(stream->input, stream->input + stream->start, stream->end - stream->start);
    for (size_t i = 0; i < stream->n_pending; i++)
        stream->pending[i].last -= stream->start;
    stream->end -= stream->start;
    stream->scanned -= stream->start;
    stream->start = 0;
}

/* Position of the NUL that ends the first message, or false while it is unfinished. */
static bool input_find_end(struct varlink_stream *stream, size_t *ret)
{
    if (stream->scanned == stream->end)
        return false;
    const char *nul = memchr(stream->input + stream->scanned, 0, stream->end - stream->scanned);
    if (!nul) {
        stream->scanned = stream->end;
        return false;
    }
    stream->scanned = (size_t)(nul - stream->input);
    *ret = stream->scanned;
    return true;
}

/* Makes room for the next read: by moving, by growing up to the greatest message and its NUL. */
static int input_make_room(struct varlink_stream *stream)
{
    const size_t most = stream->max_message + 1;
    size_t nul;

    input_compact(stream);
    if (stream->allocated - stream->end >= INPUT_ROOM_MIN)
        return 0;
    if (stream->allocated < most) {
        size_t want = MIN_OF(MAX_OF(stream->allocated * 2, INPUT_ROOM_MIN * 2), most);
        char *more = realloc(stream->input, want);
        if (!more)
            return -ENOMEM;
        stream->input = more;
        stream->allocated = want;
    }
    if (stream->end < stream->allocated)
        return 0;
    return input_find_end(stream, &nul) ? -ENOBUFS : -EMSGSIZE;
}

/* Notes the descriptors that came with the bytes up to `end`. -EBADMSG, with nothing noted, if
 * their message would have more than a message may have. */
static int pending_add(struct varlink_stream *stream, const int *fds, size_t n)
{
    const size_t last = stream->end - 1;
    const char *text = stream->input + stream->start;
    const char *nul = memrchr(text, 0, last - stream->start);
    const size_t message_start = nul ? (size_t)(nul + 1 - stream->input) : stream->start;
    size_t same = 0;

    for (size_t i = 0; i < stream->n_pending; i++)
        same += stream->pending[i].last >= message_start;
    if (same + n > WIRE_DESCRIPTORS_MAX || stream->n_pending + n > PENDING_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < n; i++)
        stream->pending[stream->n_pending++] = (struct pending_fd){.fd = fds[i], .last = last};
    return 0;
}

int varlink_stream_check_senders(struct varlink_stream *stream, varlink_sender_check check,
                                 void *user)
{
    const int on = 1;

    if (setsockopt(stream->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return negative_errno();
    stream->check = check;
    stream->check_user = user;
    return 0;
}

/* What one read gave is never of several senders (SO_PASSCRED), so it is taken or refused whole. */
int varlink_stream_read(struct varlink_stream *stream)
{
    int fds[SOCKET_DESCRIPTORS_MAX];
    struct ucred sender;
    size_t n_fds = 0;
    int r;

    r = input_make_room(stream);
    if (r < 0)
        return r;
    ssize_t n =
        socket_receive_from(stream->fd, stream->input + stream->end,
                            stream->allocated - stream->end, fds, ARRAY_SIZE(fds), &n_fds, &sender);
    if (n < 0)
        return (int)n;
    r = n == 0 ? 0 : 1;
    int refused = n > 0 && stream->check ? stream->check(stream->check_user, &sender) : 0;
    if (refused < 0)
        r = refused;
    else
        stream->end += (size_t)n;
    if (r > 0 && n_fds > 0)
        r = pending_add(stream, fds, n_fds) < 0 ? -EBADMSG : 1;
    if (r <= 0)
        peer_fds_close(stream->closer, stream->closer_user, fds, n_fds);
    return r;
}

/* Moves the descriptors of the message that ends at `nul` into `message`. They are at the front:
 * reads, and so the positions, are in order. pending_add() saw to it that they fit. */
static void pending_take(struct varlink_stream *stream, size_t nul, struct varlink_message *message)
{
    size_t n = 0;

    while (n < stream->n_pending && stream->pending[n].last <= nul &&
           message->n_fds < ARRAY_SIZE(message->fds))
        message->fds[message->n_fds++] = stream->pending[n++].fd;
    stream->n_pending -= n;
    memmove(stream->pending, stream->pending + n, sizeof(stream->pending[0]) * stream->n_pending);
}

static int message_parse(const char *text, size_t size, json_t **ret,
                         struct json_text_error *ret_error)
{
    json_t *json = NULL;
    int r = json_text_parse(text, size, WIRE_NESTING_MAX, &json, ret_error);

    if (r < 0)
        return r;
    if (!json_is_object(json)) {
        json_decref(json);
        *ret_error = (struct json_text_error){
            .path = "$", .found = "a value that is not an object", .line = 1, .column = 1};
        return -EINVAL;
    }
    *ret = json;
    return 0;
}

int varlink_stream_next(struct varlink_stream *stream, struct varlink_message *ret,
                        struct json_text_error *ret_error)
{
    struct varlink_message message = {.closer = stream->closer, .closer_user = stream->closer_user};
    size_t nul;
    int r;

    if (!input_find_end(stream, &nul))
        return 0;
    pending_take(stream, nul, &message);
    r = message_parse(stream->input + stream->start, nul - stream->start, &message.json, ret_error);
    stream->start = stream->scanned = nul + 1;
    if (stream->start == stream->end) {
        stream->start = stream->scanned = stream->end = 0;
        /* An idle connection does not keep the memory of its greatest message. */
        if (stream->allocated > INPUT_ROOM_MIN * 2) {
            free(TAKE_PTR(stream->input));
            stream->allocated = 0;
        }
    }
    if (r < 0) {
        varlink_message_deinit(&message);
        return r;
    }
    *ret = message;
    return 1;
}

bool varlink_stream_has_input(const struct varlink_stream *stream)
{
    return stream->start < stream->end;
}

size_t varlink_stream_pending_output(const struct varlink_stream *stream)
{
    return stream->pending_output;
}

void varlink_stream_measure(const struct varlink_stream *stream, size_t *ret_bytes,
                            size_t *ret_descriptors)
{
    *ret_bytes = stream->allocated + stream->pending_output;
    *ret_descriptors = stream->n_pending;
}

int varlink_stream_queue(struct varlink_stream *stream, const json_t *object, const int *fds,
                         size_t n_fds)
{
    CLEANUP(output_freep) struct output *output = NULL;

    if (n_fds > WIRE_DESCRIPTORS_MAX)
        return -E2BIG;
    output = calloc(1, sizeof(*output));
    if (!output)
        return -ENOMEM;
    output->text = json_dumps(object, JSON_COMPACT);
    if (!output->text)
        return -ENOMEM;
    output->size = strlen(output->text) + 1;
    for (; output->n_fds < n_fds; output->n_fds++) {
        int copy = fcntl(fds[output->n_fds], F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
            return negative_errno();
        output->fds[output->n_fds] = copy;
    }
    stream->pending_output += output->size;
    *stream->tail = output;
    stream->tail = &output->next;
    TAKE_PTR(output);
    return 0;
}

static void output_drop_first(struct varlink_stream *stream)
{
    struct output *done = stream->first;

    stream->first = done->next;
    if (!stream->first)
        stream->tail = &stream->first;
    output_free(done);
}

int varlink_stream_flush(struct varlink_stream *stream)
{
    while (stream->first) {
        struct output *output = stream->first;
        ssize_t n = socket_send(stream->fd, output->text + output->sent,
                                output->size - output->sent, output->fds, output->n_fds);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return (int)n;
        if (n > 0) {
            fds_close(output->fds, output->n_fds);
            output->n_fds = 0;
        }
        output->sent += (size_t)n;
        stream->pending_output -= (size_t)n;
        if (output->sent == output->size)
            output_drop_first(stream);
    }
    return 1;
}
