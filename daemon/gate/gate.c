/* Listeners: when to accept, and to answer for names. Not while a record waits for cagedd (nothing
 * may be decided that cannot be recorded), and not when even the places for telling "too many" are
 * taken. And the change to another configuration, between two events of the loop. */
#include "gate.h"

#include <sys/socket.h>

#include "connection.h"
#include "gate-proto.h"

#define ACCEPT_PAUSE_MS 100
#define ACCEPT_BATCH 16

static bool may_accept(const struct gate *gate)
{
    return !recorder_is_blocked(&gate->recorder) && !gate->recorder.ending &&
           gate->pause.position == 0 &&
           gate->n_connections < GATE_CONNECTIONS_MAX + GATE_REFUSING_MAX;
}

/* A question that is refused has a record as well. */
static bool may_answer(const struct gate *gate)
{
    return !recorder_is_blocked(&gate->recorder) && !gate->recorder.ending;
}

void gate_update_listeners(struct gate *gate)
{
    for (size_t i = 0; i < gate->n_listeners; i++) {
        struct event_source *source = &gate->listeners[i].source;
        if (!may_accept(gate))
            event_source_remove(gate->loop, source);
        else if (event_source_set(gate->loop, source, EPOLLIN) < 0)
            event_loop_stop(gate->loop, EXIT_FAILURE); /* deaf: a fresh gate is better */
    }
    if (gate->names.table && names_server_listen(&gate->names, may_answer(gate)) < 0)
        event_loop_stop(gate->loop, EXIT_FAILURE);
}

static void pause_over(struct timer *timer)
{
    gate_update_listeners(CONTAINER_OF(timer, struct gate, pause));
}

static void listener_ready(struct event_source *source, uint32_t events)
{
    struct listener *listener = CONTAINER_OF(source, struct listener, source);
    struct gate *gate = listener->gate;

    for (int i = 0; i < ACCEPT_BATCH && may_accept(gate); i++) {
        int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_new(gate, fd, listener);
            continue;
        }
        if (errno == EAGAIN)
            break;
        /* No memory or descriptors now: wait a little rather than spin. All other errors are of the
         * one connection that was not accepted (accept(2)). */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            timer_set(gate->loop, &gate->pause, ACCEPT_PAUSE_MS);
    }
    gate_update_listeners(gate);
}

static void recorder_sent(void *userdata)
{
    struct gate *gate = userdata;
    connections_resume(gate);
    gate_update_listeners(gate);
}

static void recorder_blocked(void *userdata)
{
    struct gate *gate = userdata;
    connections_block(gate);
    gate_update_listeners(gate);
}

static void recorder_ended(void *userdata)
{
    connections_close_all(userdata);
}

/* The array of forwards is the same in both, and listeners and connections point into the old one:
 * so that stays, and with it what was read at the start. */
static int adopt(struct gate *gate, struct gate_config *next)
{
    CLEANUP(gate_config_freep) struct gate_config *old = gate->config;
    struct endpoint *forwards = next->forwards;

    next->forwards = old->forwards;
    old->forwards = forwards;
    next->own = TAKE_PTR(old->own);
    gate->config = next;
    return recorder_put_updated(&gate->recorder, connections_recheck(gate));
}

static int recorder_told(void *userdata, const void *message, size_t size)
{
    struct gate *gate = userdata;
    CLEANUP(gate_config_freep) struct gate_config *next = NULL;
    const char *why = "no memory for an update";
    int r = update_take(&gate->update, message, size, &next, &why);

    if (r > 0 && !(why = update_fault(gate->config, next)))
        return adopt(gate, TAKE_PTR(next));
    if (r == 0)
        return 0;
    connections_close_all(gate);
    (void)recorder_flush(&gate->recorder);
    recorder_send_failed(GATE_FD_CONTROL, why);
    return r < 0 ? r : -EBADMSG;
}

static const struct recorder_calls recorder_calls = {
    .sent = recorder_sent,
    .blocked = recorder_blocked,
    .ended = recorder_ended,
    .told = recorder_told,
};

int gate_init(struct gate *gate, struct gate_config *config, struct event_loop *loop,
              struct resolver *resolver)
{
    *gate = (struct gate){
        .config = config,
        .loop = loop,
        .resolver = resolver,
        .n_listeners = 1 + config->n_forwards + config->transparent,
        .pause.expired = pause_over,
    };
    int r = recorder_init(&gate->recorder, loop, GATE_FD_CONTROL, &recorder_calls, gate);
    for (size_t i = 0; r == 0 && i < gate->n_listeners; i++) {
        struct listener *listener = &gate->listeners[i];
        listener->gate = gate;
        listener->source =
            (struct event_source){.fd = GATE_FD_LISTENER + (int)i, .ready = listener_ready};
        listener->forward = i > 0 && i <= config->n_forwards ? &config->forwards[i - 1] : NULL;
        listener->transparent = i > config->n_forwards;
        r = event_source_set(loop, &listener->source, EPOLLIN);
    }
    if (r == 0 && config->transparent)
        r = names_server_init(&gate->names, gate, GATE_FD_LISTENER + (int)gate->n_listeners);
    return r;
}

void gate_deinit(struct gate *gate)
{
    connections_close_all(gate);
    for (size_t i = 0; i < gate->n_listeners; i++)
        event_source_remove(gate->loop, &gate->listeners[i].source);
    names_server_deinit(&gate->names);
    timer_clear(gate->loop, &gate->pause);
    recorder_deinit(&gate->recorder);
    update_deinit(&gate->update);
    gate->config = gate_config_free(gate->config);
}
