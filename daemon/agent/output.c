/* One output stream of an agent. */
#include "agent/output.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "agent/agent.h"
#include "caged-limits.h"
#include "clock.h"
#include "log.h"

#define READ_SIZE 2048 /* in one turn: that many lines, at worst */

static void emit(struct output *output, const void *line, size_t size, bool partial)
{
    struct agent *agent = output->agent;
    uint32_t tag = output->tag | (partial ? OUTPUT_TAG_PARTIAL : 0);
    const struct log_line entry = {
        .agent = agent->log,
        .stream = output->tag & OUTPUT_TAG_STDERR ? "stderr" : "stdout",
        .sequence = ring_end(agent->ring), /* what the ring is about to give it */
        .time_usec = clock_usec(CLOCK_REALTIME),
        .partial = partial,
        .data = line,
        .size = size,
    };

    log_line(&entry);
    if (ring_push(agent->ring, entry.time_usec, tag, line, size) < 0)
        log_entry(agent->log, LOG_WARNING, NULL, NULL, 0,
                  "no memory to keep a line of agent %s for late followers", agent->card->agent_id);
}

/* Adds to the unfinished line; one that reaches AGENT_LINE_MAX is passed on as a piece. */
static int keep(struct output *output, const char *data, size_t size)
{
    if (!output->line && !(output->line = malloc(AGENT_LINE_MAX)))
        return -ENOMEM;
    while (size > 0) {
        size_t n = MIN_OF(size, AGENT_LINE_MAX - output->length);
        memcpy(output->line + output->length, data, n);
        output->length += n;
        data += n;
        size -= n;
        if (output->length == AGENT_LINE_MAX) {
            emit(output, output->line, output->length, true);
            output->length = 0;
        }
    }
    return 0;
}

static int take(struct output *output, const char *data, size_t size)
{
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t n = newline ? (size_t)(newline - data) : size;

        if (newline && output->length == 0 && n <= AGENT_LINE_MAX) {
            emit(output, data, n, false);
        } else {
            int r = keep(output, data, n);
            if (r < 0)
                return r;
            if (newline) {
                emit(output, output->line, output->length, false);
                output->length = 0;
            }
        }
        n += newline ? 1 : 0;
        data += n;
        size -= n;
    }
    return 0;
}

/* One read. 0, -EPIPE at the end, or another -errno. */
static int read_some(struct output *output)
{
    char buffer[READ_SIZE];
    size_t most = output->draining ? MIN_OF(output->left, sizeof(buffer)) : sizeof(buffer);
    ssize_t n = most > 0 ? read(output->fd, buffer, most) : 0;

    if (n == 0)
        return -EPIPE;
    if (n < 0)
        return errno == EINTR || (errno == EAGAIN && !output->draining) ? 0 : negative_errno();
    output->left -= output->draining ? (size_t)n : 0;
    return take(output, buffer, (size_t)n);
}

static void close_output(struct output *output)
{
    output->source = sd_event_source_disable_unref(output->source);
    output->fd = fd_close(output->fd);
}

static void finish(struct output *output)
{
    if (output->length > 0)
        emit(output, output->line, output->length, true);
    output->length = 0;
    output_deinit(output);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct output *output = user;
    struct agent *agent = output->agent;
    int r = read_some(output);

    if (r < 0 || (output->draining && output->left == 0))
        finish(output);
    agent_update_flow(agent);
    watch_list_wake(&agent->watches);
    if (output->fd < 0)
        agent_output_over(agent); /* may free the agent */
    return 0;
}

int output_init(struct output *output, struct agent *agent, uint32_t tag, int fd)
{
    int r;

    *output = (struct output){.agent = agent, .fd = fd, .tag = tag};
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        r = negative_errno();
    else
        r = sd_event_add_io(agent->manager->event, &output->source, fd, EPOLLIN, on_output, output);
    if (r < 0)
        close_output(output);
    return r;
}

void output_deinit(struct output *output)
{
    close_output(output);
    free(output->line);
    output->line = NULL;
}

void output_set_paused(struct output *output, bool paused)
{
    if (output->source)
        (void)sd_event_source_set_enabled(output->source, paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

void output_drain(struct output *output)
{
    int left = 0;

    if (output->fd < 0)
        return;
    (void)ioctl(output->fd, FIONREAD, &left); /* pipe(7) */
    output->draining = true;
    output->left = left > 0 ? (size_t)left : 0;
    if (output->left == 0)
        finish(output);
}

bool output_is_over(const struct output *output)
{
    return output->fd < 0;
}
