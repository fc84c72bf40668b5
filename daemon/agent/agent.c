/* The agent as an object: birth and death of the struct, its one state setter, and what can be
 * asked of a running one. */
#include "agent/agent.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "agent/report.h"
#include "caged-limits.h"
#include "clock.h"
#include "log.h"
#include "process/process.h"

struct agent *agent_new(struct manager *manager, uid_t owner)
{
    struct agent *agent = malloc(sizeof(*agent));
    sd_id128_t invocation;

    if (!agent)
        return NULL;
    *agent = (struct agent){
        .manager = manager,
        .owner = owner,
        .slot = -1,
        .workspace = WORKSPACE_INIT,
        .cgroup = CGROUP_INIT,
        .gate_cgroup = CGROUP_INIT,
        .link.listener = -EBADF,
        .init_pidfd = -EBADF,
        .agent_pidfd = -EBADF,
        .control = -EBADF,
        .terminal_master = -EBADF,
        .init_gone = true,
        .scan = AGENT_SCAN_INIT,
        .outputs = {{.fd = -EBADF}, {.fd = -EBADF}},
        .ring = ring_new(AGENT_RING_SIZE),
    };
    if (!agent->ring || sd_id128_randomize(&invocation) < 0)
        return agent_free(agent);
    (void)sd_id128_to_string(invocation, agent->invocation_id);
    return agent;
}

void agent_release_network(struct agent *agent)
{
    agent->gate = gate_supervisor_free(agent->gate);
    if (agent->have_link) {
        airlock_link_close(&agent->link);
        manager_sweep_link(agent->manager, agent->link.slot);
    }
    agent->have_link = false;
    int r = cgroup_remove(&agent->gate_cgroup);
    if (r < 0)
        log_entry(agent->log, LOG_ERR, NULL, NULL, 0,
                  "a cgroup of the gate of agent %s cannot be removed: %s", agent->card->agent_id,
                  strerror(-r));
}

/* Gives back all that the agent has in the kernel, in the reverse order of its making. Its
 * processes and its gate are gone. */
void agent_release(struct agent *agent)
{
    int r;

    agent->spawn_source = sd_event_source_disable_unref(agent->spawn_source);
    agent->ttl_source = sd_event_source_disable_unref(agent->ttl_source);
    agent->grace_source = sd_event_source_disable_unref(agent->grace_source);
    agent->control_source = sd_event_source_disable_unref(agent->control_source);
    agent->init_source = sd_event_source_disable_unref(agent->init_source);
    agent->control = fd_close(agent->control);
    agent->agent_pidfd = fd_close(agent->agent_pidfd);
    agent->init_pidfd = fd_close(agent->init_pidfd);
    agent->terminal_master = fd_close(agent->terminal_master);
    for (size_t i = 0; i < ARRAY_SIZE(agent->outputs); i++)
        output_deinit(&agent->outputs[i]);
    agent_release_network(agent);
    owner_total_leave(agent->manager, agent->owner);
    if (agent->have_cgroup && (r = cgroup_remove(&agent->cgroup)) < 0)
        log_entry(agent->log, LOG_ERR, NULL, NULL, 0, "a cgroup of agent %s cannot be removed: %s",
                  agent->card->agent_id, strerror(-r));
    agent->have_cgroup = false;
    agent->workspace.mount = fd_close(agent->workspace.mount);
    agent->scan.tree = fd_close(agent->scan.tree); /* of one that never ran */
    agent->scan.protected = fd_close(agent->scan.protected);
    workspaces_close(agent->mounts, agent->card ? agent->card->n_mounts : 0);
    uid_ranges_release(&agent->manager->ranges, agent->slot);
    agent->slot = -1;
}

struct agent *agent_free(struct agent *agent)
{
    if (!agent)
        return NULL;
    agent_release(agent);
    cgroup_deinit(&agent->cgroup);
    cgroup_deinit(&agent->gate_cgroup);
    agent_scan_deinit(&agent->scan);
    workspace_deinit(&agent->workspace);
    workspaces_free(agent->mounts, agent->card ? agent->card->n_mounts : 0);
    string_list_deinit(&agent->command);
    preset_free(agent->preset);
    free(agent->unit);
    peer_deinit(&agent->peer);
    host_lists_deinit(&agent->live);
    held_requests_clear(&agent->held_requests);
    refused_hosts_deinit(&agent->refused_hosts);
    card_free(agent->card);
    ring_free(agent->ring);
    log_agent_free(agent->log);
    free(agent);
    return NULL;
}

void agent_set_state(struct agent *agent, enum agent_state state)
{
    agent->state = state;
    report_state(agent);
    watch_list_wake(&agent->watches);
}

int agent_signal(struct agent *agent, int signal)
{
    return agent->agent_pidfd < 0 ? -ESRCH : process_signal(agent->agent_pidfd, signal);
}

/* Both ways, since either alone is enough: the cgroup, and PID 1, whose death takes the rest of its
 * namespace with it. */
static void kill_cage(struct agent *agent)
{
    int r = agent->have_cgroup ? cgroup_kill(&agent->cgroup) : 0;

    if (r < 0)
        log_entry(agent->log, LOG_WARNING, NULL, NULL, 0,
                  "agent %s cannot be killed by cgroup.kill (%s): its PID 1 is killed instead",
                  agent->card->agent_id, strerror(-r));
    if (agent->init_pidfd >= 0)
        (void)process_signal(agent->init_pidfd, SIGKILL);
}

/* Nor does the end wait any longer for a foreground client to read on. */
static int on_grace_over(sd_event_source *source, uint64_t usec, void *user)
{
    kill_cage(user);
    agent_hold_output(user, UINT64_MAX);
    return 0;
}

/* Whether the agent is to be killed by then already. */
static bool grace_ends_before(const struct agent *agent, uint64_t usec)
{
    uint64_t set;

    return agent->grace_source && sd_event_source_get_time(agent->grace_source, &set) >= 0 &&
           set <= usec;
}

void agent_kill(struct agent *agent, enum end_reason reason)
{
    if (agent->state == AGENT_ENDED)
        return;
    if (agent->requested == END_NONE)
        agent->requested = reason;
    agent_hold_output(agent, UINT64_MAX);
    if (agent->state != AGENT_STOPPING)
        agent_set_state(agent, AGENT_STOPPING);
    kill_cage(agent);
}

void agent_stop(struct agent *agent, enum end_reason reason, uint64_t grace_seconds)
{
    uint64_t end = clock_usec(CLOCK_BOOTTIME) + grace_seconds * 1000000;
    int r;

    if (agent->state == AGENT_STARTING || grace_seconds == 0) {
        agent_kill(agent, reason);
        return;
    }
    if (agent->state == AGENT_ENDED)
        return;
    if (agent->requested == END_NONE)
        agent->requested = reason;
    if (agent->state != AGENT_STOPPING)
        agent_set_state(agent, AGENT_STOPPING);
    /* SIGCONT too, as systemd does it: a stopped process would sleep through its grace. */
    (void)agent_signal(agent, SIGTERM);
    (void)agent_signal(agent, SIGCONT);

    if (grace_ends_before(agent, end))
        return;
    agent->grace_source = sd_event_source_disable_unref(agent->grace_source);
    r = sd_event_add_time(agent->manager->event, &agent->grace_source, CLOCK_BOOTTIME, end, 0,
                          on_grace_over, agent);
    if (r < 0)
        (void)on_grace_over(NULL, 0, agent);
}

/* Two may read more slowly than the agent writes, and neither may lose anything: a foreground
 * client, and the log. Once the agent is gone and the daemon goes too, the log is not waited for:
 * what is left is no more than what lies in the pipes. */
void agent_update_flow(struct agent *agent)
{
    bool log_is_behind = agent->log && log_agent_is_over(agent->log);
    bool last_chance = agent->init_gone && agent->manager->shutting_down;
    bool paused = (agent->held && ring_is_full(agent->ring)) || (log_is_behind && !last_chance);

    for (size_t i = 0; i < ARRAY_SIZE(agent->outputs); i++)
        output_set_paused(&agent->outputs[i], paused);
    if (agent->gate)
        gate_supervisor_hold(agent->gate, log_is_behind);
}

void agent_hold_output(struct agent *agent, uint64_t sequence)
{
    agent->held = sequence != UINT64_MAX;
    ring_hold(agent->ring, sequence);
    agent_update_flow(agent);
}
