/* An agent's output (Logs) and its end (Wait). */
#include "follow.h"

#include <inttypes.h>
#include <stdio.h>

#include "base64.h"
#include "exit-status.h"
#include "field.h"
#include "output.h"
#include "remote-error.h"
#include "terminal-filter.h"
#include "text.h"

struct stream {
    int fd;
    bool is_terminal;
    struct terminal_filter filter;
};

struct printer {
    struct follow *follow;
    struct stream streams[2]; /* stdout, stderr */
};

/* A line's bytes as the agent wrote them, but for the newline: borrowed text, or *ret_decoded. */
static int line_bytes(const json_t *line, const char **ret, size_t *ret_size, char **ret_decoded)
{
    const char *data = NULL;

    if (field_string_optional(line, "data", &data) < 0)
        return -EPROTO;
    if (!data) {
        if (field_string(line, "text", ret) < 0)
            return -EPROTO;
        *ret_size = json_string_length(json_object_get(line, "text"));
        return 0;
    }
    size_t length = strlen(data);
    AUTO_FREE char *decoded = malloc(BASE64_DECODED_MAX(length) + 1);
    if (!decoded)
        return -ENOMEM;
    if (base64_decode(data, length, (unsigned char *)decoded, ret_size) < 0)
        return -EPROTO;
    *ret = *ret_decoded = TAKE_PTR(decoded);
    return 0;
}

static int stream_write(struct printer *p, struct stream *stream, const char *data, size_t size,
                        bool newline)
{
    AUTO_FREE char *buffer = malloc(TERMINAL_FILTER_ROOM(size) + 1);

    if (!buffer)
        return -ENOMEM;
    if (stream->is_terminal) {
        size = terminal_filter_apply(&stream->filter, data, size, buffer);
        if (newline)
            size += terminal_filter_finish(&stream->filter, buffer + size);
    } else {
        memcpy(buffer, data, size);
    }
    if (newline)
        buffer[size++] = '\n';
    return forwarder_write(p->follow->forwarder, stream->fd, buffer, size);
}

/* STATUS_OK or the exit status; a protocol error is negative for the caller to tell. */
static int line_print(struct printer *p, const json_t *line)
{
    AUTO_FREE char *decoded = NULL;
    const char *name, *bytes;
    bool partial = false;
    size_t size;
    int r;

    if (!json_is_object(line) || field_string(line, "stream", &name) < 0 ||
        field_bool_optional(line, "partial", &partial) < 0)
        return -EPROTO;
    if (p->follow->json)
        return output_json_line(line);
    r = line_bytes(line, &bytes, &size, &decoded);
    if (r < 0)
        return r;
    r = stream_write(p, &p->streams[streq(name, "stderr")], bytes, size, !partial);
    return r < 0 ? output_failed(r) : STATUS_OK;
}

static int batch_print(struct printer *p, const json_t *parameters)
{
    json_t *lines, *line;
    uint64_t lost;
    size_t i;

    if (field_array(parameters, "lines", &lines) < 0 || field_u64(parameters, "lost", &lost) < 0)
        return -EPROTO;
    if (lost > 0)
        say("%" PRIu64 " line%s lost here: too old for the daemon's memory, or you read too slowly",
            lost, lost == 1 ? "" : "s");
    json_array_foreach(lines, i, line)
    {
        int r = line_print(p, line);
        if (r != STATUS_OK)
            return r;
    }
    return STATUS_OK;
}

static int send_logs_call(struct follow *f, bool follow, const uint32_t *lines)
{
    json_t *parameters = json_pack("{s:s, s:b}", "agent_id", f->agent_id, "follow", follow);

    if (parameters && lines && json_object_set_new(parameters, "lines", json_integer(*lines)) < 0) {
        json_decref(parameters);
        return -ENOMEM;
    }
    return connection_send(f->connection, "io.caged.Logs", parameters, true, NULL, 0);
}

static int printer_finish(struct printer *p, int status)
{
    char rest[TERMINAL_FILTER_ROOM(0)];

    for (size_t i = 0; i < ARRAY_SIZE(p->streams) && status == STATUS_OK; i++) {
        size_t size = terminal_filter_finish(&p->streams[i].filter, rest);
        int r = forwarder_write(p->follow->forwarder, p->streams[i].fd, rest, size);
        status = r < 0 ? output_failed(r) : STATUS_OK;
    }
    return status;
}

int follow_logs(struct follow *f, bool follow, const uint32_t *lines)
{
    struct printer printer = {
        .follow = f,
        .streams = {{.fd = STDOUT_FILENO, .is_terminal = isatty(STDOUT_FILENO)},
                    {.fd = STDERR_FILENO, .is_terminal = isatty(STDERR_FILENO)}},
    };
    int r = send_logs_call(f, follow, lines);

    while (r == 0) {
        struct reply reply;
        r = forwarder_receive(f->forwarder, f->connection, &reply);
        if (r < 0)
            break;
        bool last = !reply.continues;
        r = reply.error ? remote_error_say(&reply) : batch_print(&printer, reply.parameters);
        reply_deinit(&reply);
        if (last)
            break;
    }
    if (r < 0)
        return connection_failed(f->connection, r);
    return printer_finish(&printer, r);
}

int follow_wait(struct follow *f, struct reply *ret_reply, struct agent *ret_agent)
{
    struct reply reply;
    int r = connection_send(f->connection, "io.caged.Wait",
                            json_pack("{s:s}", "agent_id", f->agent_id), false, NULL, 0);

    if (r == 0)
        r = forwarder_receive(f->forwarder, f->connection, &reply);
    if (r < 0)
        return connection_failed(f->connection, r);
    if (reply.error) {
        r = remote_error_say(&reply);
    } else {
        r = agent_from_parameters(reply.parameters, ret_agent);
        if (r == 0) {
            *ret_reply = reply;
            return STATUS_OK;
        }
        r = connection_failed(f->connection, r);
    }
    reply_deinit(&reply);
    return r;
}
