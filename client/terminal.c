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
        (void)raise(SIGSTOP);
        (void)terminal_make_raw();
    }
    window_size_pass_on(*master);
}

/* What poll(2) is to wait for: always one end alone. */
static struct pollfd copy_poll(const struct copy *c)
{
    if (c->start < c->end)
        return (struct pollfd){.fd = c->to, .events = POLLOUT};
    return (struct pollfd){.fd = c->ended ? -EBADF : c->from, .events = POLLIN};
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

static int copy_step(struct copy *c)
{
    return c->start < c->end ? copy_drain(c) : copy_fill(c);
}

/* Keys for a PTY that is gone go nowhere: the end of the agent is near. */
static int keys_step(struct copy *keys)
{
    int r = copy_step(keys);

    if (r == -EIO) {
        keys->start = keys->end = 0;
        return 0;
    }
    return r;
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

/* Copies until the reply to Wait is there: 1. 128+SIGHUP if the user's terminal hung up or an
 * exit status for an output error; -errno of the connection. */
static int session_copy(struct follow *f, struct copy *keys, struct copy *screen, struct reply *ret)
{
    for (;;) {
        struct pollfd fds[] = {
            copy_poll(keys),
            copy_poll(screen),
            {.fd = connection_fd(f->connection), .events = POLLIN},
        };
        int r = forwarder_poll(f->forwarder, fds, ARRAY_SIZE(fds));
        if (r < 0)
            return r;
        if (fds[0].revents)
            r = keys_step(keys);
        if (r == 0 && fds[1].revents)
            r = copy_step(screen);
        if (r < 0)
            return output_failed(r);
        if (keys->ended)
            return STATUS_SIGNAL + SIGHUP;
        if (fds[2].revents)
            r = connection_read(f->connection);
        if (r == 0)
            r = connection_take(f->connection, ret);
        if (r != 0)
            return r;
    }
}

/* STATUS_OK with the reply to Wait, an exit status, or -errno of the connection. */
static int session_loop(struct follow *f, int master, struct reply *ret)
{
    struct copy keys = {.from = STDIN_FILENO, .to = master};
    struct copy screen = {.from = master, .to = STDOUT_FILENO};
    int r = session_copy(f, &keys, &screen, ret);

    if (r != 1)
        return r;
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
    struct reply reply = {};
    int r = session_prepare(f, &master);

    if (r < 0) {
        terminal_restore();
        say("cannot set up the terminal: %s", strerror(-r));
        return STATUS_INTERNAL;
    }
    r = connection_send(f->connection, "io.caged.Wait", agent_name_to_json(&f->agent), false, NULL,
                        0);
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
