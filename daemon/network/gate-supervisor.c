/* One agent's gate, seen from the daemon.
 *
 *   LISTENING --connection--> RUNNING --died--> PAUSED --a moment--> LISTENING
 *       |                        |                 |
 *       +-----------stop---------+-----------------+--> STOPPING --gate gone--> STOPPED
 *
 * While LISTENING the daemon itself waits for the first connection on the listeners, without
 * accepting it; a gate that RUNs has them. PAUSED keeps a gate that dies at each connection from
 * being started without end. There is no state in which anybody but a gate accepts a connection,
 * except to close it: a gate that died before it was ready leaves those that waited for it, and a
 * closed connection tells the agent what a silent one would not.
 *
 * An update that comes while a gate runs is sent in parts, as its socket takes them. There is one
 * at a time: what came meanwhile is the next, and only the newest of it. Whatever goes wrong with
 * one kills the gate, since the next starts with the newest configuration. */
#include "network/gate-supervisor.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "gate-proto.h"
#include "network/gate-sending.h"
#include "process/process.h"

#define PAUSE_USEC (200 * 1000)
#define STOP_TIMEOUT_USEC (1000 * 1000)
#define MESSAGES_AT_ONCE 16 /* of many records each; then the loop serves others */

enum gate_state { GATE_LISTENING, GATE_RUNNING, GATE_PAUSED, GATE_STOPPING, GATE_STOPPED };

struct gate_supervisor {
    struct gate_setup setup;
    enum gate_state state;
    int listeners[GATE_LISTENERS_MAX];
    sd_event_source *listening[GATE_LISTENERS_MAX];
    sd_event_source *timer;
    uint64_t newest;   /* update: what setup.config is of; 0 is what it began with */
    uint64_t in_force; /* nothing runs by an older one */

    /* of the running gate */
    struct gate_sending sending; /* the update that it was not sent as a whole, or did not answer */
    pid_t pid;
    int pidfd;
    int control;
    bool ready;
    bool unheard; /* its last message was taken, or one that it never should have sent */
    uint64_t n_allowed, n_ended; /* requests */

    bool held;
    sd_event_source *exit_source, *control_source;
};

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *user);

static void set_listening(struct gate_supervisor *gate, bool on)
{
    for (size_t i = 0; i < gate->setup.n_listeners; i++)
        (void)sd_event_source_set_enabled(gate->listening[i], on ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void set_state(struct gate_supervisor *gate, enum gate_state state)
{
    gate->state = state;
    set_listening(gate, state == GATE_LISTENING && !gate->held);
}

/* A hold does not keep a gate from answering an update that it was sent before. */
static void apply_hold(struct gate_supervisor *gate)
{
    bool heard = !gate->held || gate->sending.number;

    set_listening(gate, gate->state == GATE_LISTENING && !gate->held);
    if (gate->control_source)
        (void)sd_event_source_set_enabled(gate->control_source, heard ? SD_EVENT_ON : SD_EVENT_OFF);
}

int gate_supervisor_new(const struct gate_setup *setup, struct gate_supervisor **ret)
{
    CLEANUP(gate_supervisor_freep) struct gate_supervisor *gate = NULL;

    if (setup->n_listeners > GATE_LISTENERS_MAX) {
        fd_close(setup->config);
        return -E2BIG;
    }
    gate = malloc(sizeof(*gate));
    if (!gate) {
        fd_close(setup->config);
        return -ENOMEM;
    }
    *gate = (struct gate_supervisor){.setup = *setup, .pidfd = -EBADF, .control = -EBADF};
    for (size_t i = 0; i < setup->n_listeners; i++) {
        gate->listeners[i] = setup->listeners[i];
        int r = sd_event_add_io(setup->event, &gate->listening[i], gate->listeners[i], EPOLLIN,
                                on_connection, gate);
        if (r < 0)
            return r;
    }
    set_state(gate, GATE_LISTENING);
    *ret = TAKE_PTR(gate);
    return 0;
}

/* Forgets the gate process, which is dead and reaped or about to be. */
static void forget_process(struct gate_supervisor *gate)
{
    gate_sending_end(&gate->sending);
    gate->in_force = gate->newest;
    gate->exit_source = sd_event_source_disable_unref(gate->exit_source);
    gate->control_source = sd_event_source_disable_unref(gate->control_source);
    gate->control = fd_close(gate->control);
    gate->pidfd = fd_close(gate->pidfd);
    gate->pid = 0;
    gate->ready = gate->unheard = false;
    gate->n_allowed = gate->n_ended = 0;
}

static void kill_process(const struct gate_supervisor *gate)
{
    if (gate->pidfd >= 0)
        (void)process_signal(gate->pidfd, SIGKILL);
}

struct gate_supervisor *gate_supervisor_free(struct gate_supervisor *gate)
{
    if (!gate)
        return NULL;
    process_end(gate->pidfd);
    forget_process(gate);
    sd_event_source_disable_unref(gate->timer);
    for (size_t i = 0; i < gate->setup.n_listeners; i++)
        sd_event_source_disable_unref(gate->listening[i]);
    fd_close(gate->setup.config);
    free(gate);
    return NULL;
}

pid_t gate_supervisor_pid(const struct gate_supervisor *gate)
{
    return gate->pid;
}

static int set_timer(struct gate_supervisor *gate, uint64_t usec);

/* -- updates -- */

static int send_parts(struct gate_supervisor *gate)
{
    int r = gate_sending_run(&gate->sending, gate->control);

    if (r < 0)
        return r;
    return sd_event_source_set_io_events(gate->control_source, EPOLLIN | (r > 0 ? EPOLLOUT : 0));
}

static int begin_sending(struct gate_supervisor *gate)
{
    int r = gate_sending_begin(&gate->sending, gate->newest, gate->setup.config);

    if (r >= 0)
        r = set_timer(gate, (uint64_t)GATE_UPDATE_TIMEOUT * 1000000);
    return r < 0 ? r : send_parts(gate);
}

/* A gate that is gone already cannot be told (-EPIPE): its death is heard of soon, and what it sent
 * before is still taken in. */
static void end_untold(struct gate_supervisor *gate, int error)
{
    if (error != -EPIPE && error != -ECONNRESET)
        gate->setup.failed(gate->setup.user, "it cannot be told of an update", 0);
    (void)sd_event_source_set_io_events(gate->control_source, EPOLLIN);
    kill_process(gate);
}

/* Sends the newest configuration, unless the gate has it or is about to go. */
static void send_newest(struct gate_supervisor *gate)
{
    if (gate->state != GATE_RUNNING || !gate->control_source || gate->sending.number ||
        gate->in_force == gate->newest || gate->held)
        return;
    int r = begin_sending(gate);
    if (r < 0)
        end_untold(gate, r);
}

static void send_more(struct gate_supervisor *gate)
{
    int r = gate->state == GATE_RUNNING ? send_parts(gate) : 0;

    if (r < 0)
        end_untold(gate, r);
}

uint64_t gate_supervisor_update(struct gate_supervisor *gate, int config)
{
    fd_close(gate->setup.config);
    gate->setup.config = config;
    gate->newest++;
    if (gate->pidfd < 0)
        gate->in_force = gate->newest;
    send_newest(gate);
    return gate->newest;
}

void gate_supervisor_hold(struct gate_supervisor *gate, bool held)
{
    if (gate->held == held || gate->state == GATE_STOPPING || gate->state == GATE_STOPPED)
        return;
    gate->held = held;
    apply_hold(gate);
    send_newest(gate);
}

bool gate_supervisor_is_updated(const struct gate_supervisor *gate, uint64_t update)
{
    return gate->in_force >= update;
}

/* The gate's answer. */
static int take_updated(struct gate_supervisor *gate, uint64_t n_ended)
{
    if (!gate->ready || !gate_sending_is_sent(&gate->sending))
        return -EBADMSG;
    gate->in_force = gate->sending.number;
    gate_sending_end(&gate->sending);
    if (gate->state == GATE_RUNNING)
        gate->timer = sd_event_source_disable_unref(gate->timer);
    gate->setup.updated(gate->setup.user, n_ended);
    apply_hold(gate);
    send_newest(gate);
    return 0;
}

/* -- messages -- */

static void on_decided(void *user, const struct gate_decision *decision)
{
    struct gate_supervisor *gate = user;

    if (decision->verdict == GATE_ALLOWED)
        gate->n_allowed += decision->count;
    gate->setup.decided(gate->setup.user, decision);
}

static void on_ended(void *user, const struct gate_end *end)
{
    struct gate_supervisor *gate = user;

    gate->n_ended += end->count;
    gate->setup.ended(gate->setup.user, end);
}

/* One message. -EPIPE after the gate's last, -EBADMSG for anything that the contract does not
 * have. */
static int take_message(struct gate_supervisor *gate, const void *data, size_t size)
{
    static const struct gate_group_calls calls = {.decided = on_decided, .ended = on_ended};
    struct gate_message message;

    if (gate_message_parse(data, size, &message) < 0)
        return -EBADMSG;
    switch (message.kind) {
    case GATE_SAYS_READY:
        if (gate->ready)
            return -EBADMSG;
        gate->ready = true;
        return 0;
    case GATE_SAYS_FAILED:
        if (gate->ready && !gate->sending.number)
            return -EBADMSG;
        gate->setup.failed(gate->setup.user, message.why, 0);
        return -EPIPE; /* its last word */
    case GATE_SAYS_UPDATED:
        return take_updated(gate, message.n_ended);
    default:
        if (!gate->ready)
            return -EBADMSG;
        gate_message_for_each(data, size, &calls, gate);
        return 0;
    }
}

/* Takes in up to `max` messages. 0, -EPIPE when the gate's end is closed, or another -errno. */
static int take_messages(struct gate_supervisor *gate, size_t max)
{
    char buffer[HELPER_MESSAGE_MAX];
    size_t n_fds;

    for (size_t i = 0; i < max; i++) {
        ssize_t n = socket_receive(gate->control, buffer, sizeof(buffer), NULL, 0, &n_fds);
        if (n == -EAGAIN)
            return 0;
        if (n <= 0)
            return n == 0 ? -EPIPE : (int)n;
        int r = take_message(gate, buffer, (size_t)n);
        if (r < 0)
            return r;
    }
    return 0;
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct gate_supervisor *gate = user;
    int r = take_messages(gate, MESSAGES_AT_ONCE);

    if (r >= 0 && (events & EPOLLOUT))
        send_more(gate);
    if (r >= 0)
        return 0;
    if (r != -EPIPE && r != -ECONNRESET)
        gate->setup.failed(gate->setup.user, "it sent a message that it never should", 0);
    kill_process(gate);
    gate->control_source = sd_event_source_disable_unref(gate->control_source);
    gate->unheard = true;
    return 0;
}

/* -- the process -- */

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
    struct gate_supervisor *gate = user;

    if (gate->state == GATE_PAUSED) {
        set_state(gate, GATE_LISTENING);
        return 0;
    }
    if (gate->state == GATE_RUNNING)
        gate->setup.failed(gate->setup.user, "it did not take an update in time", 0);
    kill_process(gate);
    return 0;
}

static int set_timer(struct gate_supervisor *gate, uint64_t usec)
{
    gate->timer = sd_event_source_disable_unref(gate->timer);
    return sd_event_add_time_relative(gate->setup.event, &gate->timer, CLOCK_MONOTONIC, usec, 0,
                                      on_timer, gate);
}

static void finish_stop(struct gate_supervisor *gate)
{
    gate->timer = sd_event_source_disable_unref(gate->timer);
    set_state(gate, GATE_STOPPED);
    gate->setup.stopped(gate->setup.user); /* may free the gate */
}

/* Closes a connection that waits, or throws away a question for a name (the only listener that is
 * not TCP's): what asked will ask again. False if there is none. */
static bool refuse_one(int listener)
{
    char nothing;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && errno == EOPNOTSUPP)
        return recv(listener, &nothing, sizeof(nothing), MSG_DONTWAIT) >= 0;
    fd_close(fd);
    return fd >= 0;
}

/* What waits at the listeners. */
static void refuse_waiting(const struct gate_supervisor *gate)
{
    for (size_t i = 0; i < gate->setup.n_listeners; i++)
        for (int n = 0; n <= GATE_LISTEN_BACKLOG && refuse_one(gate->listeners[i]);)
            n++;
}

static const char *describe_exit(const struct gate_supervisor *gate, int status)
{
    bool (*ran_out)(void *user) = gate->setup.ran_out_of_memory;

    if (WIFSIGNALED(status))
        return ran_out && ran_out(gate->setup.user) ? "it was killed: out of memory"
                                                    : "it was killed";
    return WEXITSTATUS(status) == PROCESS_NOT_STARTED ? "it could not be executed" : "it exited";
}

static int on_gate_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct gate_supervisor *gate = user;
    int status;

    if (process_reap(gate->pidfd, &status) != 1)
        return 0;
    if (!gate->unheard)
        (void)take_messages(gate, SIZE_MAX);
    if (!gate->ready)
        refuse_waiting(gate);
    uint64_t n_open = gate->n_allowed - MIN_OF(gate->n_allowed, gate->n_ended);
    forget_process(gate);
    if (gate->state != GATE_STOPPING || n_open > 0)
        gate->setup.failed(gate->setup.user, describe_exit(gate, status), n_open);
    if (gate->state == GATE_STOPPING) {
        finish_stop(gate);
        return 0;
    }
    set_state(gate, GATE_PAUSED);
    if (set_timer(gate, PAUSE_USEC) < 0)
        set_state(gate, GATE_LISTENING);
    return 0;
}

static int start_process(struct gate_supervisor *gate)
{
    int pair[2];
    int fds[GATE_FD_LISTENER + ARRAY_SIZE(gate->listening)] = {gate->setup.null, gate->setup.null,
                                                               gate->setup.null};
    int r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return negative_errno();
    gate->control = pair[0];
    fds[GATE_FD_CONTROL] = pair[1];
    fds[GATE_FD_CONFIG] = gate->setup.config;
    for (size_t i = 0; i < gate->setup.n_listeners; i++)
        fds[GATE_FD_LISTENER + i] = gate->listeners[i];
    const struct process_spec spec = {
        .executable = gate->setup.executable,
        .name = "caged-gate",
        .user = gate->setup.owner,
        .fds = fds,
        .n_fds = GATE_FD_LISTENER + gate->setup.n_listeners,
        .netns_fd = -EBADF,
        .cgroup_fd = gate->setup.cgroup_fd,
        .tasks_fds = gate->setup.tasks_fds,
        .n_tasks_fds = gate->setup.n_tasks_fds,
    };
    r = process_start(&spec, &gate->pid, &gate->pidfd);
    fd_close(pair[1]);
    if (r >= 0)
        r = sd_event_add_io(gate->setup.event, &gate->control_source, gate->control, EPOLLIN,
                            on_message, gate);
    if (r >= 0)
        r = sd_event_add_io(gate->setup.event, &gate->exit_source, gate->pidfd, EPOLLIN,
                            on_gate_exit, gate);
    return r;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct gate_supervisor *gate = user;
    const char *why = gate->setup.refuse_start ? gate->setup.refuse_start(gate->setup.user) : NULL;
    int r = why ? -EAGAIN : start_process(gate);

    if (r >= 0) {
        set_state(gate, GATE_RUNNING);
        return 0;
    }
    process_end(gate->pidfd);
    forget_process(gate);
    gate->setup.failed(gate->setup.user, why ? why : process_why_not_started(r), 0);
    set_state(gate, GATE_PAUSED);
    return set_timer(gate, PAUSE_USEC);
}

static int on_deferred_stop(sd_event_source *source, void *user)
{
    finish_stop(user);
    return 0;
}

int gate_supervisor_stop(struct gate_supervisor *gate)
{
    if (gate->state == GATE_STOPPING || gate->state == GATE_STOPPED)
        return 0;
    gate->held = false;
    set_state(gate, GATE_STOPPING);
    apply_hold(gate);
    gate->timer = sd_event_source_disable_unref(gate->timer);
    if (gate->pidfd < 0)
        return sd_event_add_defer(gate->setup.event, &gate->timer, on_deferred_stop, gate);
    (void)shutdown(gate->control, SHUT_WR);
    if (gate->control_source) /* of an update nothing more goes out */
        (void)sd_event_source_set_io_events(gate->control_source, EPOLLIN);
    return set_timer(gate, STOP_TIMEOUT_USEC);
}
