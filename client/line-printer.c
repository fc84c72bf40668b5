/* LogLines of the daemon, written as the agent wrote them. Lines of one stream that come together
 * are gathered and written together; a change of the stream writes first, which keeps the order. */
#include "line-printer.h"

#include <inttypes.h>

#include "base64.h"
#include "exit-status.h"
#include "field.h"
#include "output.h"
#include "text.h"

void line_printer_init(struct line_printer *printer, struct forwarder *forwarder, bool json)
{
    *printer = (struct line_printer){
        .forwarder = forwarder,
        .json = json,
        .streams = {{.fd = STDOUT_FILENO, .is_terminal = isatty(STDOUT_FILENO)},
                    {.fd = STDERR_FILENO, .is_terminal = isatty(STDERR_FILENO)}},
    };
    printer->current = &printer->streams[0];
}

void line_printer_deinit(struct line_printer *printer)
{
    free(TAKE_PTR(printer->gathered));
    printer->size = printer->allocated = 0;
}

static int flush(struct line_printer *p)
{
    int r = forwarder_write(p->forwarder, p->current->fd, p->gathered, p->size);

    p->size = 0;
    return r < 0 ? output_failed(r) : STATUS_OK;
}

/* Room for `size` more bytes, or NULL. */
static char *make_room(struct line_printer *p, size_t size)
{
    if (p->allocated - p->size < size) {
        size_t want = MAX_OF(p->allocated * 2, p->size + size);
        char *more = realloc(p->gathered, want);
        if (!more)
            return NULL;
        p->gathered = more;
        p->allocated = want;
    }
    return p->gathered + p->size;
}

static int gather(struct line_printer *p, const char *data, size_t size, bool newline)
{
    struct line_stream *stream = p->current;
    char *room = make_room(p, TERMINAL_FILTER_ROOM(size) + 1);

    if (!room)
        return -ENOMEM;
    if (stream->is_terminal) {
        size = terminal_filter_apply(&stream->filter, data, size, room);
        if (newline)
            size += terminal_filter_finish(&stream->filter, room + size);
    } else if (size > 0) {
        memcpy(room, data, size);
    }
    if (newline)
        room[size++] = '\n';
    p->size += size;
    return 0;
}

/* A line's bytes as the agent wrote them, but for the newline: borrowed text, or *ret_decoded. */
static int line_bytes(const json_t *line, const char **ret, size_t *ret_size, void **ret_decoded)
{
    const char *data = NULL;
    int r;

    if (field_string_optional(line, "data", &data) < 0)
        return -EPROTO;
    if (!data) {
        if (field_string(line, "text", ret) < 0)
            return -EPROTO;
        *ret_size = json_string_length(json_object_get(line, "text"));
        return 0;
    }
    r = base64_decode(data, ret_decoded, ret_size);
    if (r < 0)
        return r == -EINVAL ? -EPROTO : r;
    *ret = *ret_decoded;
    return 0;
}

static int print_line(struct line_printer *p, const json_t *line)
{
    AUTO_FREE void *decoded = NULL;
    const char *name, *bytes;
    bool partial = false;
    size_t size;
    int r;

    if (!json_is_object(line) || field_string(line, "stream", &name) < 0 ||
        field_bool_optional(line, "partial", &partial) < 0)
        return -EPROTO;
    if (p->json)
        return output_json_line(line);
    struct line_stream *stream = &p->streams[streq(name, "stderr")];
    if (stream != p->current) {
        r = flush(p);
        if (r != STATUS_OK)
            return r;
        p->current = stream;
    }
    r = line_bytes(line, &bytes, &size, &decoded);
    return r < 0 ? r : gather(p, bytes, size, !partial);
}

int line_printer_print(struct line_printer *p, const json_t *parameters)
{
    json_t *lines, *line;
    uint64_t lost;
    size_t i;

    if (field_array(parameters, "lines", &lines) < 0 || field_u64(parameters, "lost", &lost) < 0)
        return -EPROTO;
    if (lost > 0)
        say("%" PRIu64 " line%s lost here: too old for the daemon's memory, or you read too slowly",
            lost, lost == 1 ? "" : "s");
    json_array_foreach (lines, i, line) {
        int r = print_line(p, line);
        if (r != STATUS_OK)
            return r;
    }
    return flush(p);
}

int line_printer_finish(struct line_printer *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(p->streams); i++) {
        char *room = make_room(p, TERMINAL_FILTER_ROOM(0));
        if (!room)
            return -ENOMEM;
        p->current = &p->streams[i];
        p->size += terminal_filter_finish(&p->current->filter, room);
        int status = flush(p);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}
