/* cagectl service: the main process of a systemd unit that is an agent, caged-agent(8).
 *
 * It prints nothing of the agent's output, which the daemon writes to the journal. systemd is told
 * when the agent runs and how it is (sd_notify(3)); SIGTERM stops the agent in good order; the exit
 * status is the agent's own, so that Restart= decides by it. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/timerfd.h>

#include "caged-limits.h"
#include "card-trust.h"
#include "clock.h"
#include "exit-status.h"
#include "forwarder.h"
#include "notify.h"
#include "own-unit.h"
#include "planted.h"
#include "remote-error.h"
#include "spawn.h"
#include "text.h"

#define STATUS_REFRESH_SECONDS 10
#define STOP_MARGIN_SECONDS 10 /* between the end by force and everything being taken down */

struct service {
    const struct options *options;
    struct spawned s;
    struct forwarder *forwarder;
    int timer; /* for the seconds that are left; -EBADF: the card has no end */
    uint64_t ttl_end_usec, pid;
    bool stopping;
};

/* -- what systemd is told -- */

static void notify_running(struct service *service, bool ready)
{
    char pid[32] = "", left[64] = "", time[32];
    uint64_t now = clock_usec(CLOCK_BOOTTIME);

    if (service->pid != AGENT_NONE)
        (void)snprintf(pid, sizeof(pid), ", pid %" PRIu64, service->pid);
    if (service->timer >= 0) {
        duration_format(now < service->ttl_end_usec ? (service->ttl_end_usec - now) / 1000000 : 0,
                        time, sizeof(time));
        (void)snprintf(left, sizeof(left), ", %s left", time);
    }
    (void)notify_send("%sSTATUS=running%s%s", ready ? "READY=1\n" : "", pid, left);
}

static void notify_ended(const struct agent *agent, const struct card *card)
{
    char raw[1024], text[1024];

    agent_end_format(agent, card, raw, sizeof(raw));
    text_make_safe(raw, text, sizeof(text));
    (void)notify_send("STATUS=ended: %s", text);
}

static uint64_t grace_seconds(const struct options *options)
{
    return option_given(options, OPTION_GRACE) ? options->grace : AGENT_STOP_GRACE;
}

/* The first SIGTERM or SIGINT. Whoever gave a long grace meant it: systemd waits for as long. */
static void on_stop(int signal, void *data)
{
    struct service *service = data;
    uint64_t wait = grace_seconds(service->options) + STOP_MARGIN_SECONDS;

    service->stopping = true;
    (void)notify_send("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%" PRIu64, wait * 1000000);
}

static int start_timer(struct service *service, uint64_t ttl_left)
{
    const struct itimerspec every = {.it_interval.tv_sec = STATUS_REFRESH_SECONDS,
                                     .it_value.tv_sec = STATUS_REFRESH_SECONDS};

    service->ttl_end_usec = clock_usec(CLOCK_BOOTTIME) + ttl_left * 1000000;
    service->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (service->timer < 0 || timerfd_settime(service->timer, 0, &every, NULL) < 0)
        return negative_errno();
    return 0;
}

/* -- until the end -- */

/* Takes in a reply of Wait: 1 with the exit status when it was the last, 0, or -errno. */
static int take_state(struct service *service, const struct reply *reply, int *ret_status)
{
    struct agent agent;

    if (reply->error) {
        *ret_status = remote_error_say(reply);
        return 1;
    }
    int r = agent_from_parameters(reply->parameters, &agent);
    if (r < 0)
        return r;
    if (!reply->continues) {
        notify_ended(&agent, service->s.file.card);
        agent_say_end(&agent, service->s.file.card);
        r = planted_say(json_object_get(reply->parameters, "agent"));
        if (r < 0)
            return r;
        *ret_status = agent_unit_status(&agent);
        return 1;
    }
    if (streq(agent.state, "stopping") && !service->stopping) {
        service->stopping = true;
        (void)notify_send("STATUS=stopping");
    }
    return 0;
}

static int take_replies(struct service *service, int *ret_status)
{
    int r = connection_read(service->s.connection);

    while (r == 0) {
        struct reply reply = {};
        r = connection_take(service->s.connection, &reply);
        if (r <= 0)
            return r;
        r = take_state(service, &reply, ret_status);
        reply_deinit(&reply);
    }
    return r;
}

static void on_timer(struct service *service)
{
    uint64_t expired;

    if (read(service->timer, &expired, sizeof(expired)) == sizeof(expired) && !service->stopping)
        notify_running(service, false);
}

/* 1 with the exit status, or -errno. */
static int wait_for_end(struct service *service, int *ret_status)
{
    struct agent_name name = {service->s.agent.id, service->s.agent.owner_uid};
    int r = connection_send(service->s.connection, "io.caged.Wait", agent_name_to_json(&name), true,
                            NULL, 0);

    while (r == 0) {
        struct pollfd fds[] = {
            {.fd = connection_fd(service->s.connection), .events = POLLIN},
            {.fd = service->timer, .events = POLLIN},
        };
        r = forwarder_poll(service->forwarder, fds, ARRAY_SIZE(fds));
        if (r == 0 && fds[1].revents)
            on_timer(service);
        if (r == 0 && fds[0].revents)
            r = take_replies(service, ret_status);
    }
    return r;
}

static int run_spawned(struct service *service)
{
    const struct agent *agent = &service->s.agent;
    struct agent_name name = {agent->id, agent->owner_uid};
    int status = STATUS_INTERNAL;
    int r = forwarder_new(service->options->socket, &name, &service->forwarder);

    if (r == 0 && agent->ttl_left != AGENT_NONE)
        r = start_timer(service, agent->ttl_left);
    if (r < 0) {
        say("cannot wait for signals or time: %s", strerror(-r));
        return STATUS_INTERNAL;
    }
    forwarder_stop_agent(service->forwarder, (int64_t)grace_seconds(service->options), on_stop,
                         service);
    service->pid = agent->pid;
    notify_running(service, true);
    r = wait_for_end(service, &status);
    if (r == 1)
        return status;
    (void)notify_send("STATUS=failed: the daemon is gone");
    return connection_failed(service->s.connection, r);
}

static int start(struct service *service)
{
    AUTO_FREE char *card = NULL;
    int status = card_trust_check(service->options->arguments[0], &card);

    if (status == STATUS_OK)
        status = spawn_read_card(card, &service->s);
    if (status == STATUS_OK)
        status = card_trust_check_id(service->options, &service->s.file);
    if (status == STATUS_OK)
        status = own_unit_prepare(service->s.file.card->agent_id);
    if (status == STATUS_OK)
        status = spawn_start(service->options, SPAWN_UNIT, &service->s);
    return status;
}

int verb_service(const struct options *options)
{
    struct service service = {.options = options, .timer = -EBADF};
    int status;

    if (!own_unit_is_notified()) {
        say("'service' is for systemd units of Type=notify, and this is none: NOTIFY_SOCKET is not "
            "set");
        say_hint("see caged-agent(8); in a terminal: cagectl run");
        return STATUS_USAGE;
    }
    (void)notify_send("STATUS=starting");
    status = start(&service);
    if (status == STATUS_OK)
        status = run_spawned(&service);
    else
        (void)notify_send("STATUS=not started: %s", said_last());
    forwarder_free(service.forwarder);
    fd_close(service.timer);
    spawned_deinit(&service.s);
    return status;
}
