/* The user's terminal lent to an agent.
 *
 * Two one-way copies, each with a small buffer: it is filled only when empty, so that a slow side
 * holds up its own direction and nothing else. The session is over when the reply to Wait comes;
 * then what the PTY still holds is shown. The keys go to the agent as they are: ^C is a byte here,
 * and the PTY makes the signal of it inside the cage. */
#include "terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "exit-status.h"
#include "output.h"
#include "remote-error.h"
#include "text.h"

#define COPY_SIZE 4096

struct copy {
    int from;
    int to;
    bool ended; /* nothing more comes from `from` */
    size_t start;
    size_t end;
    char buffer[COPY_SIZE];
};

/* One terminal to restore for the whole process, as atexit(3) handlers know no arguments. */
static struct termios saved;
static bool is_raw;

static void terminal_restore(void)
{
    if (is_raw)
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    is_raw = false;
}

static int terminal_make_raw(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return negative_errno();
    raw = saved;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return negative_errno();
    is_raw = true;
    return 0;
}

/* A window without a size (a serial line) leaves the PTY's as it is. */
static void window_size_pass_on(int master)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0)
        (void)ioctl(master, TIOCSWINSZ, &size);
}

static void terminal_signal(int signal, void *data)
{
    const int *master = data;

    if (signal == SIGTSTP) { /* from outside: ^Z is a byte for the agent */
        terminal_restore();
        raise(SIGSTOP);
        (void)terminal_make_raw();
    }
    window_size_pass_on(*master);
}

/* What poll(2) is to wait for on the two ends of a copy. */
static void copy_prepare(const struct copy *c, struct pollfd *from, struct pollfd *to)
{
    if (c->start < c->end)
        *to = (struct pollfd){.fd = c->to, .events = POLLOUT};
    else if (!c->ended)
        *from = (struct pollfd){.fd = c->from, .events = POLLIN};
}

/* The end of a PTY is EIO (its other side is closed), that of a terminal 0. */
static int copy_fill(struct copy *c)
{
    ssize_t n = read(c->from, c->buffer, sizeof(c->buffer));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0 && errno != EIO)
        return negative_errno();
    c->ended = n <= 0;
    c->start = 0;
    c->end = n > 0 ? (size_t)n : 0;
    return 0;
}

static int copy_drain(struct copy *c)
{
    ssize_t n = write(c->to, c->buffer + c->start, c->end - c->start);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return negative_errno();
    c->start += (size_t)n;
    return 0;
}

static int copy_step(struct copy *c, const struct pollfd *from, const struct pollfd *to)
{
    if (to->revents)
        return copy_drain(c);
    return from->revents ? copy_fill(c) : 0;
}

/* The PTY is gone: what was typed has nowhere to go, and the end of the agent is near. */
static int keys_step(struct copy *keys, const struct pollfd *from, const struct pollfd *to)
{
    int r = copy_step(keys, from, to);

    if (r != -EIO)
        return r;
    keys->ended = true;
    keys->start = keys->end = 0;
    return 0;
}

/* Shows what the PTY still holds after the agent's end; its other side may be open a little
 * longer, so that this must not wait for an end. The master does not block. */
static int screen_finish(struct forwarder *forwarder, struct copy *screen)
{
    while (!screen->ended) {
        int r = forwarder_write(forwarder, screen->to, screen->buffer + screen->start,
                                screen->end - screen->start);
        if (r < 0)
            return r;
        screen->start = screen->end = 0;
        r = copy_fill(screen);
        if (r < 0 || screen->end == 0)
            return r;
    }
    return 0;
}

/* Copies until the reply to Wait is there. STATUS_OK, or an exit status, or -errno of the
 * connection. */
static int session_loop(struct follow *f, int master, struct reply *ret)
{
    struct copy keys = {.from = STDIN_FILENO, .to = master};
    struct copy screen = {.from = master, .to = STDOUT_FILENO};
    int r;

    for (;;) {
        struct pollfd fds[FORWARDER_POLL_MAX] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
        /* The master appears twice: once for each direction. */
        struct pollfd screen_to = {.fd = -1};
        copy_prepare(&keys, &fds[0], &fds[1]);
        copy_prepare(&screen, &fds[2], &screen_to);
        if (screen_to.fd >= 0)
            fds[2] = screen_to;
        fds[3] = (struct pollfd){.fd = connection_fd(f->connection), .events = POLLIN};
        r = forwarder_poll(f->forwarder, fds, ARRAY_SIZE(fds));
        if (r < 0)
            return r;
        r = keys_step(&keys, &fds[0], &fds[1]);
        if (r == 0)
            r = screen_to.fd >= 0 ? copy_step(&screen, &(struct pollfd){}, &fds[2])
                                  : copy_step(&screen, &fds[2], &(struct pollfd){});
        if (r < 0)
            return output_failed(r);
        if (!fds[3].revents)
            continue;
        r = connection_read(f->connection);
        if (r == 0)
            r = connection_take(f->connection, ret);
        if (r < 0)
            return r;
        if (r == 1)
            break;
    }
    r = screen_finish(f->forwarder, &screen);
    if (r == 0)
        return STATUS_OK;
    reply_deinit(ret);
    return output_failed(r);
}

static int session_prepare(struct follow *f, int *master)
{
    int r;

    /* Nobody else reads or writes the master, so that its mode may be changed: a paste that the
     * agent does not read must not stop us from showing what it writes. */
    if (fcntl(*master, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
        return negative_errno();
    r = forwarder_handle_terminal(f->forwarder, terminal_signal, master);
    if (r < 0)
        return r;
    if (atexit(terminal_restore) != 0)
        return -ENOMEM;
    window_size_pass_on(*master);
    return terminal_make_raw();
}

int terminal_session(struct follow *f, int master_fd, struct reply *ret_reply,
                     struct agent *ret_agent)
{
    AUTO_FD int master = master_fd;
    struct reply reply;
    int r = session_prepare(f, &master);

    if (r < 0) {
        terminal_restore();
        say("cannot set up the terminal: %s", strerror(-r));
        return STATUS_INTERNAL;
    }
    r = connection_send(f->connection, "io.caged.Wait",
                        json_pack("{s:s}", "agent_id", f->agent_id), false, NULL, 0);
    if (r == 0)
        r = session_loop(f, master, &reply);
    terminal_restore();
    if (r < 0)
        return connection_failed(f->connection, r);
    if (r != STATUS_OK)
        return r;
    r = reply.error ? remote_error_say(&reply) : agent_from_parameters(reply.parameters, ret_agent);
    if (r == 0) {
        *ret_reply = reply;
        return STATUS_OK;
    }
    reply_deinit(&reply);
    return r < 0 ? connection_failed(f->connection, r) : r;
}
