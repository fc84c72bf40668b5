/* Passing signals on to an agent while cagectl waits for something else. */
#include "forwarder.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "remote-error.h"
#include "signals.h"
#include "text.h"

#define ENOUGH_INTERRUPTS 3

struct forwarder {
    int fd; /* signalfd(2) */
    const char *socket;
    struct agent_name agent;
    struct connection *control; /* made for the first signal */
    unsigned n_interrupts;
    bool stops; /* SIGINT and SIGTERM stop the agent */
    int64_t grace;
    void (*handler)(int signal, void *data);
    void *handler_data;
    int watched; /* negative: nothing is */
    void (*ready)(void *data);
    void *ready_data;
};

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
static const int for_terminal[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
                                   SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP};

int forwarder_new(const char *socket, const struct agent_name *agent, struct forwarder **ret)
{
    struct forwarder *forwarder = calloc(1, sizeof(*forwarder));

    if (!forwarder)
        return -ENOMEM;
    forwarder->socket = socket;
    forwarder->watched = -EBADF;
    forwarder->agent = *agent;
    forwarder->fd = signals_open(passed_on, ARRAY_SIZE(passed_on));
    if (forwarder->fd < 0) {
        int r = forwarder->fd;
        forwarder_free(forwarder);
        return r;
    }
    *ret = forwarder;
    return 0;
}

struct forwarder *forwarder_free(struct forwarder *forwarder)
{
    if (!forwarder)
        return NULL;
    connection_free(forwarder->control);
    fd_close(forwarder->fd);
    free(forwarder);
    return NULL;
}

int forwarder_handle_terminal(struct forwarder *forwarder, void (*handler)(int signal, void *data),
                              void *data)
{
    int fd = signals_open(for_terminal, ARRAY_SIZE(for_terminal));

    if (fd < 0)
        return fd;
    fd_close(forwarder->fd);
    forwarder->fd = fd;
    forwarder->handler = handler;
    forwarder->handler_data = data;
    return 0;
}

void forwarder_stop_agent(struct forwarder *forwarder, int64_t grace,
                          void (*handler)(int signal, void *data), void *data)
{
    forwarder->stops = true;
    forwarder->grace = grace;
    forwarder->handler = handler;
    forwarder->handler_data = data;
}

void forwarder_watch(struct forwarder *forwarder, int fd, void (*ready)(void *data), void *data)
{
    forwarder->watched = fd;
    forwarder->ready = ready;
    forwarder->ready_data = data;
}

/* A call about the agent with one more number, unless that is negative. That the agent is gone
 * already is no failure. */
static int agent_call(struct forwarder *forwarder, const char *method, const char *name,
                      int64_t number)
{
    struct reply reply = {};
    int r;

    if (!forwarder->control) {
        r = connection_open(forwarder->socket, &forwarder->control);
        if (r < 0)
            return r;
    }
    json_t *parameters = agent_name_to_json(&forwarder->agent);
    if (parameters && number >= 0 &&
        json_object_set_new(parameters, name, json_integer(number)) < 0) {
        json_decref(parameters);
        return -ENOMEM;
    }
    r = connection_send(forwarder->control, method, parameters, false, NULL, 0);
    if (r == 0)
        r = connection_receive(forwarder->control, &reply);
    if (r < 0)
        return r;
    if (reply.error && !remote_error_is(&reply, "NoSuchAgent") &&
        !remote_error_is(&reply, "NotRunning"))
        remote_error_say(&reply);
    reply_deinit(&reply);
    return 0;
}

/* SIGKILL kills everything in the cage. */
static int agent_signal(struct forwarder *forwarder, int signal)
{
    return agent_call(forwarder, "io.caged.Kill", "signal", signal);
}

static int agent_stop(struct forwarder *forwarder, int signal)
{
    forwarder->handler(signal, forwarder->handler_data);
    return agent_call(forwarder, "io.caged.Stop", "grace_seconds", forwarder->grace);
}

static void signal_pass_on(struct forwarder *forwarder, int signal)
{
    bool interrupt = signal == SIGINT || signal == SIGTERM;
    char name[32];
    int r;

    if (signal == SIGWINCH || signal == SIGTSTP) {
        forwarder->handler(signal, forwarder->handler_data);
        return;
    }
    if (interrupt)
        forwarder->n_interrupts++;
    if (forwarder->n_interrupts == (forwarder->stops ? 2 : ENOUGH_INTERRUPTS)) {
        say("killing agent %s", forwarder->agent.id);
        signal = SIGKILL;
    }
    r = interrupt && forwarder->stops && forwarder->n_interrupts == 1
            ? agent_stop(forwarder, signal)
            : agent_signal(forwarder, signal);
    if (r < 0) {
        say("cannot pass %s on to agent %s: %s", signal_to_string(signal, name, sizeof(name)),
            forwarder->agent.id, strerror(-r));
        forwarder->control = connection_free(forwarder->control);
    }
}

int forwarder_poll(struct forwarder *forwarder, struct pollfd *fds, size_t n_fds)
{
    struct pollfd all[FORWARDER_POLL_MAX + 2];
    int signal;

    if (n_fds > FORWARDER_POLL_MAX)
        return -EINVAL;
    memcpy(all, fds, n_fds * sizeof(*fds));
    all[n_fds] = (struct pollfd){.fd = forwarder ? forwarder->fd : -EBADF, .events = POLLIN};
    all[n_fds + 1] =
        (struct pollfd){.fd = forwarder ? forwarder->watched : -EBADF, .events = POLLIN};
    if (poll(all, n_fds + 2, -1) < 0)
        return errno == EINTR ? 0 : negative_errno();
    for (size_t i = 0; i < n_fds; i++)
        fds[i].revents = all[i].revents;
    if (forwarder && all[n_fds + 1].revents)
        forwarder->ready(forwarder->ready_data);
    if (!forwarder || !all[n_fds].revents)
        return 0;
    while ((signal = signals_read(forwarder->fd)) > 0)
        signal_pass_on(forwarder, signal);
    return signal;
}

int forwarder_wait(struct forwarder *forwarder, int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};

    while (!wait.revents) {
        int r = forwarder_poll(forwarder, &wait, 1);
        if (r < 0)
            return r;
    }
    return 0;
}

int forwarder_write(struct forwarder *forwarder, int fd, const void *data, size_t size)
{
    const char *p = data;

    while (size > 0) {
        int r = forwarder_wait(forwarder, fd, POLLOUT);
        if (r < 0)
            return r;
        /* A pipe that is ready takes this much without blocking (pipe(7)); the descriptor is
         * shared with others, so that it must not be made non-blocking. */
        ssize_t n = write(fd, p, MIN_OF(size, (size_t)PIPE_BUF));
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return negative_errno();
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int forwarder_receive(struct forwarder *forwarder, struct connection *connection, struct reply *ret)
{
    for (;;) {
        int r = connection_take(connection, ret);
        if (r != 0)
            return MIN_OF(r, 0);
        r = forwarder_wait(forwarder, connection_fd(connection), POLLIN);
        if (r == 0)
            r = connection_read(connection);
        if (r < 0)
            return r;
    }
}
