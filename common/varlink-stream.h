/* Varlink framing on a Unix stream socket: JSON objects, each ended by one NUL (varlink.org,
 * "Wire format"), with descriptors that ride with the message that uses them. Used by both ends;
 * knows nothing of methods. The socket may be blocking (client) or not (daemon).
 *
 * Which message do descriptors belong to? recvmsg(2) on a Unix stream never reads past the piece
 * of data that carried descriptors, so they belong to the message in which the last byte read with
 * them lies. A sender therefore hands over a message and its descriptors with one sendmsg(2). */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "caged-limits.h"
#include "json-text.h"
#include "util.h"

struct ucred; /* sys/socket.h */

/* Closes descriptors that the peer sent, which may take as long as the peer likes; `fds` is
 * borrowed, the descriptors are the function's. */
typedef void (*varlink_closer)(void *user, const int *fds, size_t n);

struct varlink_message {
    json_t *json; /* an object */
    int fds[WIRE_DESCRIPTORS_MAX];
    size_t n_fds;
    varlink_closer closer; /* of its stream; NULL: they are closed on the spot */
    void *closer_user;
};

/* Drops the reference and closes the descriptors that were not taken (set to -EBADF). */
void varlink_message_deinit(struct varlink_message *message);

/* Takes descriptor `index` out of the message: the caller's to close. -ERANGE if there is none. */
int varlink_message_take_fd(struct varlink_message *message, json_int_t index);

/* The same, but the message still closes it. */
int varlink_message_borrow_fd(const struct varlink_message *message, json_int_t index);

struct varlink_stream;

/* Takes `fd`. Messages over `max_message` bytes are refused by varlink_stream_read. NULL: no
 * memory (the descriptor is closed). */
struct varlink_stream *varlink_stream_new(int fd, size_t max_message);
struct varlink_stream *varlink_stream_free(struct varlink_stream *stream);
DEFINE_CLEANUP(struct varlink_stream, varlink_stream_free);

int varlink_stream_fd(const struct varlink_stream *stream);

/* Has descriptors that the peer sent closed so, those that wait unread in the socket included, and
 * the socket with them. */
void varlink_stream_set_closer(struct varlink_stream *stream, varlink_closer closer, void *user);

/* Judges who sent what was just read (socket_receive_from()): 0, or -EPERM, which
 * varlink_stream_read() then returns; nothing of it comes into a message. */
typedef int (*varlink_sender_check)(void *user, const struct ucred *sender);

/* Has the kernel say of all that is received who sent it (SO_PASSCRED). 0 or -errno. */
int varlink_stream_check_senders(struct varlink_stream *stream, varlink_sender_check check,
                                 void *user);

/* One read from the socket into the buffer. Returns 1 if something came, 0 at the end of file,
 * -EAGAIN, -EMSGSIZE when the buffer holds an unfinished message of the greatest size, -ENOBUFS
 * when it is full of messages that varlink_stream_next must take out first, -EBADMSG for too many
 * descriptors, or another -errno. All but -EAGAIN, -ENOBUFS and 1 end the stream. */
int varlink_stream_read(struct varlink_stream *stream);

/* Takes the next whole message out of the buffer: 1 with *ret (varlink_message_deinit), 0 if there
 * is none yet, -EINVAL with *ret_error if the bytes are not one JSON object, or -ENOMEM (in both
 * cases they are consumed and their descriptors closed). */
int varlink_stream_next(struct varlink_stream *stream, struct varlink_message *ret,
                        struct json_text_error *ret_error);

/* Whether the input buffer holds part of a message, and whether output waits to be sent. */
bool varlink_stream_has_input(const struct varlink_stream *stream);
size_t varlink_stream_pending_output(const struct varlink_stream *stream);

/* How much memory both buffers take, and how many descriptors wait for the rest of their message.
 */
void varlink_stream_measure(const struct varlink_stream *stream, size_t *ret_bytes,
                            size_t *ret_descriptors);

/* Queues an object with copies of the descriptors (dup'ed here; `fds` stay the caller's) and
 * sends nothing yet. 0, -ENOMEM, -EMFILE, -E2BIG for more than WIRE_DESCRIPTORS_MAX of them. */
int varlink_stream_queue(struct varlink_stream *stream, const json_t *object, const int *fds,
                         size_t n_fds);

/* Sends what is queued: 1 when all is sent, 0 if the socket takes no more now, -errno. */
int varlink_stream_flush(struct varlink_stream *stream);
