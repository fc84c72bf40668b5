/* What an agent's processes say and how they end.
 *
 * caged-init tells us over the control socket that the agent runs, that something failed, or how
 * the agent ended; its pidfd tells when the last process of the cage is gone (PID 1 goes last).
 * Then what is left in the output pipes is taken in, the gate is let go, the workspace is looked
 * through for what was planted there, and everything is taken down. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "agent/agent-note.h"
#include "agent/agent.h"
#include "agent/report-network.h"
#include "agent/report.h"
#include "caged-limits.h"
#include "clock.h"
#include "fd-io.h"
#include "init-spec.h"
#include "log.h"
#include "process/process.h"
#include "records.h"

/* -- the end -- */

static void decide_reason(struct agent *agent)
{
    const struct end_facts facts = {
        .requested = agent->requested,
        .have_status = agent->have_status,
        .status = agent->status,
        .oom_kills = agent->have_cgroup ? cgroup_count_oom_kills(&agent->cgroup) : 0,
        .task_refusals = agent->have_cgroup ? cgroup_count_task_refusals(&agent->cgroup) : 0,
    };

    agent->reason = end_reason_decide(&facts);
    if (agent->reason == END_FAILED && agent->problem.failure == FAILURE_NONE)
        (void)agent_problem_set(&agent->problem, FAILURE_SPAWN, -ECHILD, "supervision",
                                "caged-init died without saying how the agent ended");
}

/* Once the gate is gone too, and the workspace was looked through: nothing of the cage is left but
 * what we hold ourselves. */
static void end_if_over(struct agent *agent)
{
    if (!agent->gate_gone)
        return;
    agent_release_network(agent); /* while caged-scan looks */
    if (agent->scan.state == AGENT_SCAN_RUNNING)
        return;
    agent_release(agent);
    agent->ended_usec = clock_usec(CLOCK_REALTIME);
    agent_set_state(agent, AGENT_ENDED);
    manager_retire(agent->manager, agent); /* may free the agent */
}

void agent_scan_over(struct agent *agent)
{
    end_if_over(agent);
}

static void on_gate_stopped(void *user)
{
    struct agent *agent = user;

    agent_note_gate_gone(agent);
    agent->gate = gate_supervisor_free(agent->gate);
    agent->gate_gone = true;
    watch_list_wake(&agent->watches); /* that settles an update, too */
    end_if_over(agent);
}

void agent_output_over(struct agent *agent)
{
    for (size_t i = 0; i < ARRAY_SIZE(agent->outputs); i++)
        if (!output_is_over(&agent->outputs[i]))
            return;
    if (agent->init_gone && (!agent->gate || gate_supervisor_stop(agent->gate) < 0))
        on_gate_stopped(agent);
}

static void finish(struct agent *agent)
{
    decide_reason(agent);
    if (agent->started)
        agent_scan_start(agent);
    for (size_t i = 0; i < ARRAY_SIZE(agent->outputs); i++)
        output_drain(&agent->outputs[i]);
    agent_update_flow(agent);
    agent_output_over(agent);
}

/* -- caged-init's messages -- */

static void take_failure(struct agent *agent, struct records_reader *reader,
                         const struct record *first)
{
    const char *step = record_string(first), *detail = NULL;
    struct record record;
    uint64_t error = EPROTO;

    while (records_next(reader, &record) == 1) {
        if (record.type == INIT_MESSAGE_ERRNO)
            (void)record_u64(&record, &error);
        else if (record.type == INIT_MESSAGE_DETAIL)
            detail = record_string(&record);
    }
    int known = error < 4096 ? (int)error : EPROTO; /* the kernel's MAX_ERRNO */
    (void)agent_problem_set(&agent->problem, FAILURE_SPAWN, -known, step ? step : "caged-init",
                            "%s%s%s", detail ? detail : "", detail ? ": " : "", strerror(known));
    agent->requested = END_FAILED;
}

static int take_started(struct agent *agent, int *fds, size_t n_fds)
{
    size_t expected = agent->terminal ? 2 : 1;
    uint64_t ttl = agent->card->ttl_seconds;

    if (agent->agent_pidfd >= 0 || n_fds != expected)
        return -EBADMSG;
    agent->agent_pidfd = TAKE_FD(fds[0]);
    if (agent->terminal)
        agent->terminal_master = TAKE_FD(fds[1]);
    agent->started = true;
    agent->spawn_source = sd_event_source_disable_unref(agent->spawn_source);
    if (ttl > 0)
        agent->ttl_end_usec = clock_usec(CLOCK_BOOTTIME) + ttl * 1000000;
    return 0;
}

/* The pid behind a pidfd, as the daemon's PID namespace numbers it (proc_pid_fdinfo(5), "Pid:"). */
static pid_t pid_of(int pidfd)
{
    AUTO_FREE char *text = NULL;
    char path[64];
    size_t size;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    if (file_read_all(path, 4096, &text, &size) < 0)
        return 0;
    const char *line = strstr(text, "\nPid:");
    long pid = line ? strtol(line + 5, NULL, 10) : 0;
    return pid > 0 ? (pid_t)pid : 0;
}

static int on_ttl(sd_event_source *source, uint64_t usec, void *user)
{
    agent_stop(user, END_TTL, AGENT_STOP_GRACE);
    return 0;
}

static void fail(struct agent *agent, int error, const char *step, const char *why)
{
    if (agent->problem.failure == FAILURE_NONE)
        (void)agent_problem_set(&agent->problem, FAILURE_SPAWN, error, step, "%s", why);
    agent_kill(agent, END_FAILED);
}

static int start_running(struct agent *agent)
{
    int r = cgroup_slow(&agent->cgroup);

    if (r < 0)
        fail(agent, r, "cgroup", "cpu_quota_percent cannot be enforced any more");
    agent->agent_pid = pid_of(agent->agent_pidfd);
    if (agent->ttl_end_usec > 0) {
        r = sd_event_add_time(agent->manager->event, &agent->ttl_source, CLOCK_BOOTTIME,
                              agent->ttl_end_usec, 0, on_ttl, agent);
        if (r < 0)
            return r;
    }
    if (agent->state == AGENT_STARTING)
        agent_set_state(agent, AGENT_RUNNING);
    return 0;
}

static int take_message(struct agent *agent, const void *data, size_t size, int *fds, size_t n_fds)
{
    struct records_reader reader = {.data = data, .size = size};
    struct record record;
    uint64_t status;
    int r;

    if (records_next(&reader, &record) != 1)
        return -EBADMSG;
    switch (record.type) {
    case INIT_MESSAGE_STARTED:
        r = take_started(agent, fds, n_fds);
        return r < 0 ? r : start_running(agent);
    case INIT_MESSAGE_FAILED:
        take_failure(agent, &reader, &record);
        return 0;
    case INIT_MESSAGE_EXITED:
        if (agent->have_status || agent->agent_pidfd < 0 || record_u64(&record, &status) < 0 ||
            status > INT32_MAX)
            return -EBADMSG;
        agent->have_status = true;
        agent->status = (int)status;
        return 0;
    default:
        return -EBADMSG;
    }
}

/* Takes in all messages that are there. 0, or -errno if caged-init broke the contract. */
static int take_messages(struct agent *agent)
{
    char buffer[HELPER_MESSAGE_MAX];
    int fds[WIRE_DESCRIPTORS_MAX];
    size_t n_fds;

    while (agent->control >= 0) {
        ssize_t n =
            socket_receive(agent->control, buffer, sizeof(buffer), fds, ARRAY_SIZE(fds), &n_fds);
        if (n == -EAGAIN)
            return 0;
        if (n <= 0) { /* it closed its end, or died: its pidfd says the rest */
            agent->control_source = sd_event_source_disable_unref(agent->control_source);
            cgroup_ease(&agent->cgroup); /* the rest is being killed: the kernel waits for it */
            return n == 0 || n == -ECONNRESET ? 0 : (int)n;
        }
        int r = take_message(agent, buffer, (size_t)n, fds, n_fds);
        for (size_t i = 0; i < n_fds; i++)
            fd_close(fds[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Before it is supervised: whether caged-init failed meanwhile, and said at what, in `problem`. */
bool agent_take_early_failure(struct agent *agent)
{
    if (!agent->init_gone)
        (void)take_messages(agent);
    return agent->problem.failure != FAILURE_NONE;
}

static int on_control(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct agent *agent = user;
    int r = take_messages(agent);

    if (r < 0)
        fail(agent, r, "supervision", "caged-init sent a message that it never should");
    return 0;
}

static int on_init_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct agent *agent = user;
    int status;

    if (process_reap(agent->init_pidfd, &status) != 1)
        return 0;
    agent->init_gone = true;
    agent->init_source = sd_event_source_disable_unref(agent->init_source);
    (void)take_messages(agent);
    if (!agent->started && agent->requested == END_NONE) {
        agent->requested = END_FAILED;
        (void)agent_problem_set(&agent->problem, FAILURE_SPAWN, -ECHILD, "caged-init", "%s",
                                cgroup_count_oom_kills(&agent->cgroup) > 0
                                    ? "memory_mb is too little to start anything in"
                                    : "it ended before the agent was started");
    }
    finish(agent);
    return 0;
}

static int on_spawn_timeout(sd_event_source *source, uint64_t usec, void *user)
{
    fail(user, -ETIMEDOUT, "caged-init", "the cage was not ready in time");
    return 0;
}

static void on_decision(void *user, const struct gate_decision *decision)
{
    struct agent *agent = user;

    report_decision(agent, decision);
    agent_note_decision(agent, decision);
    agent_update_flow(agent);
}

static void on_request_ended(void *user, const struct gate_end *end)
{
    report_request_end(user, end);
    agent_update_flow(user);
}

static void on_gate_failure(void *user, const char *why, uint64_t n_without_end)
{
    struct agent *agent = user;

    report_gate_failure(agent, why, n_without_end);
    agent_note_gate_gone(agent);
    watch_list_wake(&agent->watches); /* its death settles an update */
    agent_update_flow(agent);
}

static const char *on_gate_wanted(void *user)
{
    const struct agent *agent = user;

    return owner_total_has_task(agent->manager, agent->owner)
               ? NULL
               : "it was not started: total.max_processes of its agent's owner is reached";
}

static bool on_gate_killed(void *user)
{
    struct agent *agent = user;
    uint64_t before = agent->gate_oom_kills;

    agent->gate_oom_kills = cgroup_count_oom_kills(&agent->gate_cgroup);
    return agent->gate_oom_kills > before;
}

static void on_gate_updated(void *user, uint64_t n_ended)
{
    struct agent *agent = user;

    agent->cut += n_ended;
    if (n_ended > 0)
        report_cut(agent, n_ended);
    agent_update_flow(agent);
    watch_list_wake(&agent->watches);
}

/* The gate's config memfd is made here, so that the gate can be started at the first connection
 * without a thought. */
static int supervise_gate(struct agent *agent)
{
    struct manager *manager = agent->manager;
    int listeners[GATE_LISTENERS_MAX] = {agent->link.listener};
    size_t n = 1;
    int config = agent_hosts_seal(&agent->hosts, agent->card,
                                  uid_range_base(agent->slot) + CAGE_GATE_OFFSET);

    if (config < 0)
        return config;
    for (size_t i = 0; i < agent->link.n_forwards; i++)
        listeners[n++] = agent->link.forwards[i];
    if (agent->card->transparent) {
        listeners[n++] = agent->link.transparent;
        listeners[n++] = agent->link.names;
    }
    const struct gate_setup setup = {
        .event = manager->event,
        .owner = agent->owner,
        .executable = manager->gate_executable,
        .null = manager->null,
        .config = config,
        .cgroup_fd = agent->gate_cgroup.unified_fd,
        .tasks_fds = agent->gate_cgroup.tasks,
        .n_tasks_fds = ARRAY_SIZE(agent->gate_cgroup.tasks),
        .listeners = listeners,
        .n_listeners = n,
        .user = agent,
        .decided = on_decision,
        .ended = on_request_ended,
        .failed = on_gate_failure,
        .refuse_start = on_gate_wanted,
        .ran_out_of_memory = on_gate_killed,
        .updated = on_gate_updated,
        .stopped = on_gate_stopped,
    };
    return gate_supervisor_new(&setup, &agent->gate);
}

int agent_supervise(struct agent *agent)
{
    sd_event *event = agent->manager->event;
    int r = supervise_gate(agent);

    if (r >= 0)
        r = sd_event_add_io(event, &agent->control_source, agent->control, EPOLLIN, on_control,
                            agent);
    if (r >= 0)
        r = sd_event_add_io(event, &agent->init_source, agent->init_pidfd, EPOLLIN, on_init_exit,
                            agent);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &agent->spawn_source, CLOCK_MONOTONIC,
                                       (uint64_t)AGENT_SPAWN_TIMEOUT * 1000000, 0, on_spawn_timeout,
                                       agent);
    return r;
}
