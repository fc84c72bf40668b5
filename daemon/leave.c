/* The end of the daemon when it is idle. */
#include "leave.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "caged-limits.h"
#include "log.h"

#define USEC_PER_SEC ((uint64_t)1000 * 1000)

struct leave {
    struct manager *manager;
    struct server *server;
    const char *own_socket;
    sd_event_source *signal_source;
    sd_event_source *post_source;  /* since we were asked: looks after every event */
    sd_event_source *timer_source; /* of LEAVE_QUIET, then of LEAVE_DRAIN */
    bool quiet_over, draining;
    size_t told_agents, told_clients; /* in the status */
};

static void end_loop(struct leave *leave)
{
    log_info("idle: this cagedd ends, to be started anew");
    (void)sd_event_exit(leave->manager->event, EXIT_ANEW);
}

static void tell_status(struct leave *leave, size_t clients)
{
    size_t agents = leave->manager->n_live;

    if (agents == leave->told_agents && clients == leave->told_clients)
        return;
    leave->told_agents = agents;
    leave->told_clients = clients;
    if (agents > 0)
        (void)sd_notifyf(0, "STATUS=Ends when idle, to be started anew: waits for %zu agent%s",
                         agents, agents == 1 ? "" : "s");
    else
        (void)sd_notifyf(0, "STATUS=Ends when idle, to be started anew: waits for %zu client%s",
                         clients, clients == 1 ? "" : "s");
}

static int start_timer(struct leave *leave, uint64_t seconds, sd_event_time_handler_t handler)
{
    leave->timer_source = sd_event_source_disable_unref(leave->timer_source);
    return sd_event_add_time_relative(leave->manager->event, &leave->timer_source, CLOCK_MONOTONIC,
                                      seconds * USEC_PER_SEC, 0, handler, leave);
}

/* -- the last moments -- */

static int on_drain_over(sd_event_source *source, uint64_t usec, void *user)
{
    struct leave *leave = user;

    log_warning("clients do not take their last replies: their connections are closed");
    end_loop(leave);
    return 0;
}

static int drain(struct leave *leave)
{
    leave->draining = true;
    leave->manager->shutting_down = true; /* nothing is started any more */
    if (leave->own_socket)
        (void)unlink(leave->own_socket);
    server_drain(leave->server, leave->own_socket != NULL);
    if (server_is_empty(leave->server)) {
        end_loop(leave);
        return 0;
    }
    return start_timer(leave, LEAVE_DRAIN, on_drain_over);
}

/* -- until then -- */

static int on_quiet(sd_event_source *source, uint64_t usec, void *user)
{
    struct leave *leave = user;

    leave->quiet_over = true; /* on_post() comes next */
    return 0;
}

/* No longer quiet: an agent runs, or a call is under way. */
static void start_over(struct leave *leave)
{
    leave->quiet_over = false;
    leave->timer_source = sd_event_source_disable_unref(leave->timer_source);
}

/* After every event, once we were asked. */
static int on_post(sd_event_source *source, void *user)
{
    struct leave *leave = user;
    size_t clients, calling;

    server_count_clients(leave->server, &clients, &calling);
    if (leave->draining) {
        if (server_is_empty(leave->server))
            end_loop(leave);
        return 0;
    }
    if (leave->manager->shutting_down)
        return 0; /* it ends by that */
    tell_status(leave, clients);
    if (leave->manager->n_live > 0 || calling > 0) {
        start_over(leave);
        return 0;
    }
    if (clients == 0 || leave->quiet_over)
        return drain(leave);
    return leave->timer_source ? 0 : start_timer(leave, LEAVE_QUIET, on_quiet);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
    struct leave *leave = user;

    if (leave->post_source)
        return 0;
    log_info("SIGUSR1: this cagedd ends when it is idle, to be started anew; %zu agent%s now",
             leave->manager->n_live, leave->manager->n_live == 1 ? " runs" : "s run");
    int r = sd_event_add_post(leave->manager->event, &leave->post_source, on_post, leave);
    /* Post sources come after the next event at first; there may be none. */
    return r < 0 ? r : on_post(leave->post_source, leave);
}

int leave_new(struct manager *manager, struct server *server, const char *own_socket,
              struct leave **ret)
{
    CLEANUP(leave_freep) struct leave *leave = malloc(sizeof(*leave));

    if (!leave)
        return -ENOMEM;
    *leave = (struct leave){
        .manager = manager, .server = server, .own_socket = own_socket, .told_agents = SIZE_MAX};
    int r = sd_event_add_signal(manager->event, &leave->signal_source, SIGUSR1, on_signal, leave);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(leave);
    return 0;
}

struct leave *leave_free(struct leave *leave)
{
    if (!leave)
        return NULL;
    sd_event_source_disable_unref(leave->signal_source);
    sd_event_source_disable_unref(leave->post_source);
    sd_event_source_disable_unref(leave->timer_source);
    free(leave);
    return NULL;
}
