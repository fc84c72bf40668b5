/* The daemon's History and Audit: a pipe whose writing end goes to the daemon, and the entries that
 * come out. */
#include "history.h"

#include <fcntl.h>
#include <time.h>

#include "caged-limits.h"
#include "exit-status.h"
#include "field.h"
#include "remote-error.h"
#include "text.h"

#define READ_SIZE (64 * 1024)
#define BUSY_TRIES 100
#define BUSY_NSEC (200 * 1000 * 1000)

/* A line of AGENT_LINE_MAX bytes as an array of numbers, and the other fields. */
#define ENTRY_MAX (8 * AGENT_LINE_MAX + 16384)

struct reader {
    const struct history_query *query;
    history_entry_taker taker;
    void *user;
    int fd;
    char *buffer; /* room for ENTRY_MAX + READ_SIZE */
    size_t size;
    bool skipping; /* an entry that is too long */
    uint64_t n_not_understood;
};

void history_result_deinit(struct history_result *result)
{
    reply_deinit(&result->reply);
}

static json_t *query_to_json(const struct history_query *q)
{
    json_t *json = agent_name_to_json(q->agent);
    bool bad = !json;

    bad = bad || json_object_set_new(json, "output_fd", json_integer(0)) < 0;
    if (q->refused)
        bad = bad || json_object_set_new(json, "refused", json_true()) < 0;
    if (q->invocation_id)
        bad = bad || json_object_set_new(json, "invocation_id", json_string(q->invocation_id)) < 0;
    if (q->since)
        bad = bad || json_object_set_new(json, "since", json_string(q->since)) < 0;
    if (q->until)
        bad = bad || json_object_set_new(json, "until", json_string(q->until)) < 0;
    if (q->lines != AGENT_NONE)
        bad = bad || json_object_set_new(json, "lines", json_integer((json_int_t)q->lines)) < 0;
    if (!bad)
        return json;
    json_decref(json);
    return NULL;
}

/* The call with the pipe's writing end, of which only the daemon keeps one. */
static int send_call(struct connection *connection, const struct history_query *q, int *ret_fd)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return negative_errno();
    int r = connection_send(connection, q->audit ? "io.caged.Audit" : "io.caged.History",
                            query_to_json(q), false, &ends[1], 1);
    fd_close(ends[1]);
    if (r < 0) {
        fd_close(ends[0]);
        return r;
    }
    *ret_fd = ends[0];
    return 0;
}

static int take_entry(struct reader *r, const char *text, size_t size)
{
    int result = r->taker(r->user, text, size);

    if (result == -EPROTO) {
        r->n_not_understood++;
        return 0;
    }
    return result;
}

/* Takes the whole entries out of the buffer. */
static int take_entries(struct reader *r)
{
    size_t start = 0;
    const char *newline;
    int result = 0;

    while (result == 0 && (newline = memchr(r->buffer + start, '\n', r->size - start))) {
        size_t length = (size_t)(newline - r->buffer) - start;
        if (!r->skipping)
            result = take_entry(r, r->buffer + start, length);
        r->skipping = false;
        start += length + 1;
    }
    r->size -= start;
    memmove(r->buffer, r->buffer + start, r->size);
    if (r->size > ENTRY_MAX) {
        r->n_not_understood += r->skipping ? 0 : 1;
        r->skipping = true;
        r->size = 0;
    }
    return result;
}

/* Until the end of the pipe. */
static int read_entries(struct reader *r)
{
    for (;;) {
        int result = forwarder_wait(r->query->forwarder, r->fd, POLLIN);
        if (result < 0)
            return result;
        ssize_t n = read(r->fd, r->buffer + r->size, READ_SIZE);
        if (n < 0 && errno != EINTR)
            return negative_errno();
        if (n == 0)
            break;
        r->size += n > 0 ? (size_t)n : 0;
        result = take_entries(r);
        if (result != 0)
            return result;
    }
    if (r->size > 0 || r->skipping) /* cut off: the daemon's word will tell why */
        r->n_not_understood++;
    return 0;
}

static int read_once(struct reader *r, struct history_result *ret)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    AUTO_FD int fd = -EBADF;
    struct history_result result = {};
    int error = connection_open(r->query->socket, &connection);

    if (error == 0)
        error = send_call(connection, r->query, &fd);
    if (error < 0)
        return error;
    r->fd = fd;
    r->size = 0;
    r->n_not_understood = 0;
    error = read_entries(r);
    if (error == 0)
        error = forwarder_receive(r->query->forwarder, connection, &result.reply);
    if (error != 0)
        return error;
    result.n_not_understood = r->n_not_understood;
    *ret = result;
    return 0;
}

int history_read_entries(const struct history_query *query, history_entry_taker taker, void *user,
                         struct history_result *ret)
{
    AUTO_FREE char *buffer = malloc(ENTRY_MAX + READ_SIZE);
    struct reader reader = {.query = query, .taker = taker, .user = user, .buffer = buffer};
    static const struct timespec pause = {.tv_nsec = BUSY_NSEC};

    if (!buffer)
        return -ENOMEM;
    for (int i = 0;; i++) {
        int r = read_once(&reader, ret);
        if (r != 0 || i == BUSY_TRIES || !remote_error_is(&ret->reply, "Busy"))
            return r;
        history_result_deinit(ret);
        (void)nanosleep(&pause, NULL);
    }
}

/* -- lines -- */

struct line_reader {
    history_taker taker;
    void *user;
};

static int take_line_entry(void *user, const char *text, size_t size)
{
    struct line_reader *r = user;
    struct agent_line line;
    int error = agent_line_from_journal(text, size, &line);

    if (error < 0)
        return error;
    int result = r->taker(r->user, &line);
    agent_line_deinit(&line);
    return result;
}

int history_read(const struct history_query *query, history_taker taker, void *user,
                 struct history_result *ret)
{
    struct line_reader reader = {.taker = taker, .user = user};

    return history_read_entries(query, take_line_entry, &reader, ret);
}

/* -- failures -- */

/* journalctl's words about a time that is none, or two that are the wrong way round. */
static bool is_about_times(const struct history_query *q, const char *reason)
{
    return (q->since || q->until) &&
           (has_prefix(reason, "Failed to parse timestamp") || has_prefix(reason, "--since="));
}

int history_say_failure(const struct history_query *query, const struct reply *reply,
                        const char *instead)
{
    const char *reason = "";

    (void)field_string_optional(reply->parameters, "reason", &reason);
    if (remote_error_is(reply, "NotSupported")) {
        say("the past cannot be shown: %s", reason);
        say_hint("%s", instead);
        return STATUS_UNSUPPORTED;
    }
    if (remote_error_is(reply, "HistoryFailed") && is_about_times(query, reason)) {
        say("%s", reason);
        say_hint("see systemd.time(7); for example '10 minutes ago', 'today', '2030-01-31 12:00'");
        return STATUS_USAGE;
    }
    return remote_error_say(reply);
}
