/* One client of the daemon. */
#include "server/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "log.h"
#include "process/process.h"
#include "server/connection-refuse.h"
#include "server/methods.h"
#include "server/server.h"

static void set_events(struct connection *c)
{
    uint32_t events = 0;

    /* While a call is under way, or waits to be, the next one waits in the socket. */
    if (!c->read_closed && !c->busy && !c->backlog && !c->closes_watch.list)
        events |= EPOLLIN;
    if (varlink_stream_pending_output(c->stream) > 0)
        events |= EPOLLOUT;
    (void)sd_event_source_set_io_events(c->io_source, events);
}

static void end_call(struct connection *c)
{
    watch_remove(&c->watch);
    client_load_end_call(&c->load);
    c->busy = c->endless = false;
    c->pump = NULL;
    c->agent = NULL;
    free(c->filter);
    c->filter = NULL;
    json_decref(c->result);
    c->result = NULL;
    c->history = history_abandon(c->history);
}

struct connection *connection_free(struct connection *c)
{
    if (!c)
        return NULL;
    end_call(c);
    watch_remove(&c->closes_watch);
    if (c->foreground) {
        struct agent *agent = c->foreground;
        connection_set_foreground(c, NULL);
        agent_hold_output(agent, UINT64_MAX);
        agent_stop(agent, END_CLIENT_GONE, AGENT_STOP_GRACE);
    }
    sd_event_source_disable_unref(c->io_source);
    turns_forget(server_turns(c->server), &c->turn);
    sd_event_source_disable_unref(c->half_source);
    varlink_stream_free(c->stream);
    client_load_deinit(&c->load);
    server_forget(c->server, c);
    fd_close(c->pidfd);
    peer_deinit(&c->peer);
    free(c);
    return NULL;
}

static void do_nothing(struct watch *watch)
{
}

void connection_set_foreground(struct connection *c, struct agent *agent)
{
    watch_remove(&c->foreground_watch);
    c->foreground = agent;
    if (agent)
        watch_add(&agent->watches, &c->foreground_watch);
}

/* -- replies -- */

static void count_load(struct connection *c)
{
    size_t bytes, descriptors;

    varlink_stream_measure(c->stream, &bytes, &descriptors);
    client_load_set(&c->load, bytes, descriptors);
}

static void send_object(struct connection *c, json_t *object, const int *fds, size_t n_fds)
{
    int r = object ? 0 : -ENOMEM;

    if (r == 0 && !c->oneway)
        r = varlink_stream_queue(c->stream, object, fds, n_fds);
    if (r == 0)
        r = varlink_stream_flush(c->stream);
    if (r < 0)
        c->broken = true;
    count_load(c);
    json_decref(object);
}

static json_t *reply_object(json_t *parameters)
{
    return parameters ? json_pack("{s:o}", "parameters", parameters) : NULL;
}

void connection_reply(struct connection *c, json_t *parameters)
{
    send_object(c, reply_object(parameters), NULL, 0);
    end_call(c);
}

void connection_reply_fd(struct connection *c, json_t *parameters, int fd)
{
    send_object(c, reply_object(parameters), &fd, 1);
    end_call(c);
}

void connection_continue(struct connection *c, json_t *parameters)
{
    json_t *object = reply_object(parameters);

    if (object && json_object_set_new(object, "continues", json_true()) < 0) {
        json_decref(object);
        object = NULL;
    }
    send_object(c, object, NULL, 0);
}

void connection_error(struct connection *c, const char *error, json_t *parameters)
{
    send_object(
        c, parameters ? json_pack("{s:s, s:o}", "error", error, "parameters", parameters) : NULL,
        NULL, 0);
    end_call(c);
}

void connection_busy(struct connection *c, struct load_limit limit)
{
    connection_error(c, "io.caged.Busy",
                     json_pack("{s:s, s:i}", "limit", limit.limit, "maximum", limit.maximum));
}

void connection_invalid(struct connection *c, const char *parameter)
{
    connection_error(c, "org.varlink.service.InvalidParameter",
                     json_pack("{s:s}", "parameter", parameter));
}

bool connection_is_pressed(const struct connection *c)
{
    return client_load_find_pressure(&c->load).limit;
}

bool connection_has_room(const struct connection *c)
{
    size_t pending = varlink_stream_pending_output(c->stream);

    return !c->broken && pending < WIRE_OUTPUT_BUFFER_MAX &&
           (pending == 0 || !connection_is_pressed(c));
}

bool connection_is_calling(const struct connection *c)
{
    return c->busy || c->backlog || varlink_stream_pending_output(c->stream) > 0;
}

/* -- calls -- */

static void wake(struct watch *watch)
{
    struct connection *c = CONTAINER_OF(watch, struct connection, watch);

    if (turns_ask(server_turns(c->server), &c->turn, c->account) < 0)
        (void)shutdown(varlink_stream_fd(c->stream), SHUT_RDWR); /* on_io() ends it */
}

void connection_wake(struct connection *c)
{
    wake(&c->watch);
}

void connection_set_pump(struct connection *c, connection_pump pump, struct watch_list *watches)
{
    c->pump = pump;
    if (watches)
        watch_add(watches, &c->watch);
    wake(&c->watch);
}

void connection_drain(struct connection *c)
{
    c->draining = true;
    (void)shutdown(varlink_stream_fd(c->stream), SHUT_RD); /* then on_io() reads to the end */
    if (c->pump)
        connection_wake(c);
}

static bool get_flag(const json_t *call, const char *name, bool *ret)
{
    const json_t *value = json_object_get(call, name);

    *ret = json_is_true(value);
    return !value || json_is_boolean(value);
}

/* One message of the client. A message that is no call at all ends the connection: there is no way
 * to answer it that the client could understand. */
static int take_call(struct connection *c, struct varlink_message *message)
{
    const char *method = json_string_value(json_object_get(message->json, "method"));
    json_t *parameters = json_object_get(message->json, "parameters");
    bool upgrade;

    if (!method || !get_flag(message->json, "more", &c->more) ||
        !get_flag(message->json, "oneway", &c->oneway) ||
        !get_flag(message->json, "upgrade", &upgrade) || upgrade ||
        (parameters && !json_is_object(parameters)))
        return -EBADMSG;
    c->busy = true;
    methods_dispatch(c, method, parameters, message);
    return 0;
}

/* Another process of the same user's may go on with a connection, but gets no further by it than by
 * one of its own; nor does one that has got the number of who connected, when that has ended. */
static int check_sender(void *user, const struct ucred *sender)
{
    struct connection *c = user;

    c->sender = *sender;
    if (!peer_is_sender(&c->peer, sender))
        return -EPERM;
    bool same = sender->pid == c->peer.pid && process_signal(c->pidfd, 0) >= 0;
    if (!same && c->place == PEER_PLACE_HOST)
        c->place = peer_place_of_process(&c->manager->places, sender->pid, sender->uid);
    return 0;
}

static int on_half_too_long(sd_event_source *source, uint64_t usec, void *user)
{
    struct connection *c = user;

    if (c->backlog) /* the rest has come, and waits for its turn */
        c->half_source = sd_event_source_disable_unref(c->half_source);
    else
        connection_free(c);
    return 0;
}

/* Half a message may stay half for a while, not for ever. */
static void watch_half_message(struct connection *c)
{
    if (!varlink_stream_has_input(c->stream) || c->busy || c->backlog) {
        c->half_source = sd_event_source_disable_unref(c->half_source);
        return;
    }
    if (!c->half_source)
        (void)sd_event_add_time_relative(c->manager->event, &c->half_source, CLOCK_MONOTONIC,
                                         (uint64_t)CONNECTION_IDLE_HALF_MESSAGE * 1000000, 0,
                                         on_half_too_long, c);
}

/* Takes the next call out of the buffer, if a whole one is there. The one after it has its turn
 * when the others had theirs. */
static void take_next_call(struct connection *c)
{
    CLEANUP(varlink_message_deinit) struct varlink_message message = {};
    struct json_text_error error = {};
    int r = varlink_stream_next(c->stream, &message, &error);

    c->backlog = r != 0;
    if (r == -EINVAL)
        connection_refuse_text(c, &error);
    else if (r < 0 || (r > 0 && take_call(c, &message) < 0))
        c->broken = true;
}

/* Whether nothing can follow. */
static bool is_over(const struct connection *c)
{
    if (c->broken)
        return true;
    if (c->hung_up)
        return c->busy || !c->backlog;
    return c->read_closed && !c->busy && !c->backlog &&
           varlink_stream_pending_output(c->stream) == 0;
}

static bool can_take_call(const struct connection *c)
{
    return !c->busy && (c->hung_up || connection_has_room(c));
}

/* After every event: waits for what comes next, or ends. Frees the connection in the end. */
static void settle(struct connection *c)
{
    count_load(c);
    if (is_over(c)) {
        connection_free(c);
        return;
    }
    set_events(c);
    if (c->backlog && can_take_call(c))
        wake(&c->watch);
}

void connection_settle(struct connection *c)
{
    settle(c);
}

/* Descriptors come with what is read, and too many of this user's are still being closed: what more
 * it sends stays in the socket until some are. True if it has to wait. */
static bool wait_for_closes(struct connection *c)
{
    if (!closer_is_full(c->manager->closer, c->account))
        return false;
    if (!c->closes_watch.list)
        watch_add(closer_watches(c->manager->closer), &c->closes_watch);
    return true;
}

static void go_on_after_closes(struct connection *c)
{
    if (!c->closes_watch.list || closer_is_full(c->manager->closer, c->account))
        return;
    watch_remove(&c->closes_watch);
    if (!c->hung_up) /* it was off if the client hung up meanwhile */
        (void)sd_event_source_set_enabled(c->io_source, SD_EVENT_ON);
}

static void wake_after_closes(struct watch *watch)
{
    wake(&CONTAINER_OF(watch, struct connection, closes_watch)->watch);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct connection *c = user;

    if (events & (EPOLLHUP | EPOLLERR)) {
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
        /* The client is gone. Calls that it left behind are still calls: they may be oneway. */
        if (!c->busy && wait_for_closes(c))
            return 0;
        if (!c->busy)
            (void)varlink_stream_read(c->stream);
        c->hung_up = c->read_closed = true;
        c->backlog = varlink_stream_has_input(c->stream);
        settle(c);
        return 0;
    }
    if (events & EPOLLOUT) {
        if (varlink_stream_flush(c->stream) < 0)
            c->broken = true;
        else if (c->pump || c->backlog)
            wake(&c->watch);
    }
    if (events & EPOLLIN && !wait_for_closes(c)) {
        int r = varlink_stream_read(c->stream);
        count_load(c);
        c->backlog = c->backlog || r > 0;
        if (r == 0)
            c->read_closed = true;
        else if (r > 0 && client_load_find_excess(&c->load).limit)
            connection_refuse_descriptors(c);
        else if (r == -EMSGSIZE)
            connection_refuse_size(c);
        else if (r == -EPERM)
            connection_refuse_sender(c);
        else if (r < 0 && r != -EAGAIN)
            c->broken = true;
    }
    settle(c);
    return 0;
}

void connection_take_turn(struct turn *turn)
{
    struct connection *c = CONTAINER_OF(turn, struct connection, turn);

    go_on_after_closes(c);
    if (c->pump)
        c->pump(c);
    if (can_take_call(c))
        take_next_call(c);
    watch_half_message(c);
    settle(c);
}

static void close_for_user(void *user, const int *fds, size_t n)
{
    struct connection *c = user;

    closer_close(c->manager->closer, c->account, fds, n);
}

/* Whose limits it counts for. Uids that somebody has many of are all one user: with a count for
 * each of them, one user's connections would leave no room for anybody else's. */
static uid_t find_account(const struct connection *c)
{
    bool one_of_many = c->place == PEER_PLACE_SUBORDINATE || c->place == PEER_PLACE_CAGE;

    return one_of_many && c->peer.uid != 0 ? (uid_t)-1 : c->peer.uid;
}

int connection_new(struct server *server, struct manager *manager, int fd, struct connection **ret)
{
    struct connection *c = malloc(sizeof(*c));
    int r;

    if (!c) {
        fd_close(fd);
        return -ENOMEM;
    }
    *c = (struct connection){.server = server,
                             .manager = manager,
                             .pidfd = -EBADF,
                             .watch.wake = wake,
                             .closes_watch.wake = wake_after_closes,
                             .foreground_watch.wake = do_nothing};
    r = peer_init(&c->peer, fd);
    if (r >= 0) {
        c->pidfd = peer_open_pidfd(&c->peer, fd);
        c->place = peer_place_of_connection(&manager->places, c->pidfd, &c->peer);
        c->account = find_account(c);
        r = client_load_init(&c->load, server_loads(server), c->account);
    }
    if (r < 0)
        fd_close(fd);
    else if (!(c->stream = varlink_stream_new(fd, WIRE_REQUEST_SIZE_MAX)))
        r = -ENOMEM;
    if (c->stream)
        varlink_stream_set_closer(c->stream, close_for_user, c);
    if (r >= 0)
        r = varlink_stream_check_senders(c->stream, check_sender, c);
    if (r >= 0)
        r = sd_event_add_io(manager->event, &c->io_source, fd, EPOLLIN, on_io, c);
    server_remember(server, c);
    if (r < 0) {
        connection_free(c);
        return r;
    }
    *ret = c;
    return 0;
}
