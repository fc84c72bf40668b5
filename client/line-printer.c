/* Lines of an agent's output on our own. Lines of one stream that come together are gathered and
 * written together; a change of the stream writes first, which keeps the order. */
#include "line-printer.h"

#include <stdio.h>

#include "exit-status.h"
#include "output.h"
#include "text.h"

#define GATHERED_MAX (256 * 1024)

int line_form_from_string(const char *name, enum line_form *ret)
{
    static const char *const names[] = {
        [LINE_CAT] = "cat", [LINE_SHORT] = "short", [LINE_JSON] = "json"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (streq(names[i], name)) {
            *ret = (enum line_form)i;
            return 0;
        }
    }
    return -EINVAL;
}

void line_printer_init(struct line_printer *printer, struct forwarder *forwarder,
                       enum line_form form)
{
    *printer = (struct line_printer){
        .forwarder = forwarder,
        .form = form,
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

static int end_line(struct line_printer *p)
{
    p->current->open = false;
    return gather(p, NULL, 0, true);
}

static int switch_stream(struct line_printer *p, struct line_stream *stream)
{
    int r = stream == p->current ? STATUS_OK : flush(p);

    if (r == STATUS_OK)
        p->current = stream;
    return r;
}

/* Each run begins with a line of its own. */
static int begin_run(struct line_printer *p, const char *invocation_id)
{
    int r = STATUS_OK;

    if (streq(p->invocation_id, invocation_id))
        return STATUS_OK;
    (void)snprintf(p->invocation_id, sizeof(p->invocation_id), "%s", invocation_id);
    for (size_t i = 0; r == STATUS_OK && i < ARRAY_SIZE(p->streams); i++) {
        if (!p->streams[i].open)
            continue;
        r = switch_stream(p, &p->streams[i]);
        if (r == STATUS_OK)
            r = end_line(p);
    }
    return r;
}

/* -- as the agent wrote it -- */

static int print_cat(struct line_printer *p, const struct agent_line *line)
{
    int r = switch_stream(p, &p->streams[line->is_stderr]);

    p->current->open = line->partial;
    return r != STATUS_OK ? r : gather(p, line->bytes, line->size, !line->partial);
}

/* -- short -- */

/* For a terminal: a line may not go back to what stands before it. */
static int gather_without_returns(struct line_printer *p, const char *data, size_t size)
{
    int r = 0;

    while (r == 0 && size > 0) {
        const char *found = p->current->is_terminal ? memchr(data, '\r', size) : NULL;
        size_t n = found ? (size_t)(found - data) : size;
        r = gather(p, data, n, false);
        if (r == 0 && found)
            r = gather(p, "^M", 2, false);
        n += found ? 1 : 0;
        data += n;
        size -= n;
    }
    return r;
}

/* When, and on which stream; on a terminal in its own colour whatever the line before left. */
static int gather_head(struct line_printer *p, const struct agent_line *line)
{
    char time[64], head[96];

    time_format(line->time_usec, time, sizeof(time));
    (void)snprintf(head, sizeof(head), "%s%s %s: ", p->current->is_terminal ? "\x1b[0m" : "", time,
                   line->is_stderr ? "stderr" : "stdout");
    return gather(p, head, strlen(head), false);
}

/* An unfinished line goes on if nothing comes between. */
static int print_short(struct line_printer *p, const struct agent_line *line)
{
    bool open = p->current->open;
    bool goes_on = open && p->last_is_stderr == line->is_stderr &&
                   streq(p->invocation_id, line->invocation_id);
    int r = 0;

    if (open && !goes_on)
        r = end_line(p);
    if (r == 0 && !goes_on)
        r = gather_head(p, line);
    if (r == 0)
        r = gather_without_returns(p, line->bytes, line->size);
    if (r == 0 && !line->partial)
        r = end_line(p);
    p->current->open = line->partial;
    p->last_is_stderr = line->is_stderr;
    (void)snprintf(p->invocation_id, sizeof(p->invocation_id), "%s", line->invocation_id);
    return r;
}

/* -- JSON -- */

static int print_json(struct line_printer *p, const struct agent_line *line)
{
    json_t *json = agent_line_to_json(line);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    int r = text ? gather(p, text, strlen(text), true) : -ENOMEM;

    free(text);
    json_decref(json);
    return r;
}

/* -- all of them -- */

int line_printer_print(struct line_printer *p, const struct agent_line *line)
{
    int r = p->form == LINE_CAT ? begin_run(p, line->invocation_id) : STATUS_OK;

    if (r == STATUS_OK && p->form == LINE_CAT)
        r = print_cat(p, line);
    else if (r == STATUS_OK)
        r = p->form == LINE_SHORT ? print_short(p, line) : print_json(p, line);
    return r == STATUS_OK && p->size >= GATHERED_MAX ? flush(p) : r;
}

int line_printer_flush(struct line_printer *p)
{
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
