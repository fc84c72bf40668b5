/* From a request to a cage that is being built.
 *
 * The steps stand in one table, each with its name: it is what a failure is reported by. What a
 * step makes belongs to the agent at once, so that undoing is always the same: agent_free(). */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "agent/agent.h"
#include "agent/condemned.h"
#include "agent/report.h"
#include "caged-limits.h"
#include "clock.h"
#include "fd-io.h"
#include "init-spec.h"
#include "log.h"
#include "policy/spawn-policy.h"
#include "process/process.h"
#include "records.h"

#define CAGE_NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
#define OUTPUT_PIPE_SIZE (256 * 1024)

/* What the steps share and the agent does not keep. */
struct building {
    struct manager *manager;
    struct agent_request *request;
    struct agent *agent;
    struct agent_problem *problem;
    int seccomp; /* the manager's */
    int spec;
    int pipes[2]; /* writing ends of stdout and stderr */
    int init_end; /* caged-init's end of the control socket */
    int netns;    /* the cage's */
};

static int too_many(struct agent_problem *problem, const char *limit, int maximum)
{
    (void)agent_problem_set(problem, FAILURE_BUSY, -EBUSY, limit, "there are %d already", maximum);
    problem->error = maximum;
    return -EBUSY;
}

/* -- the steps -- */

static int step_claim(struct building *b)
{
    struct manager *manager = b->manager;
    struct card *card = b->request->card;
    struct agent *other = manager_find(manager, b->request->peer->uid, card->agent_id);

    if (manager->shutting_down)
        return agent_problem_set(b->problem, FAILURE_SPAWN, -ESHUTDOWN, "claim",
                                 "the daemon is being stopped");
    if (other && other->state != AGENT_ENDED)
        return agent_problem_set(b->problem, FAILURE_EXISTS, -EEXIST, card->agent_id, "it is %s",
                                 agent_state_to_string(other->state));
    if (condemned_has(manager, b->request->peer->uid, card->agent_id))
        return agent_problem_set(b->problem, FAILURE_EXISTS, -EEXIST, card->agent_id,
                                 "one that was not started is being ended");
    if (manager_count_all(manager) >= AGENTS_MAX)
        return too_many(b->problem, "agents", AGENTS_MAX);
    if (b->request->peer->uid != 0 &&
        manager_count(manager, b->request->peer->uid) >= AGENTS_PER_UID_MAX)
        return too_many(b->problem, "agents of one user", AGENTS_PER_UID_MAX);
    int r = spawn_policy_check_agents(manager, b->request->peer->uid, b->request->rule, b->problem);
    if (r < 0)
        return r;
    b->agent = agent_new(manager, b->request->peer->uid);
    if (!b->agent)
        return -ENOMEM;
    b->agent->card = TAKE_PTR(b->request->card);
    b->agent->rule = b->request->rule;
    r = peer_copy(b->request->peer, &b->agent->peer);
    if (r < 0)
        return r;
    b->agent->workspace = *b->request->workspace;
    b->agent->scan.tree = TAKE_FD(b->request->workspace->view);
    b->agent->workspace.view = -EBADF;
    *b->request->workspace = WORKSPACE_INIT;
    b->agent->mounts = TAKE_PTR(*b->request->mounts);
    b->agent->terminal = b->request->terminal;
    if (b->request->unit)
        b->agent->unit = TAKE_PTR(b->request->unit->name);
    b->agent->slot = uid_ranges_claim(&manager->ranges);
    if (b->agent->slot == -EUSERS)
        return too_many(b->problem, "uid ranges of agents, containers and readers of past output",
                        AGENTS_MAX);
    return b->agent->slot < 0 ? b->agent->slot : 0;
}

static int step_seccomp(struct building *b)
{
    const char *name = b->agent->card->seccomp_profile, *why = "";

    if (!name)
        name = CARD_SECCOMP_PROFILE_DEFAULT;
    b->seccomp = seccomp_set_get(&b->manager->seccomp, name, &why);
    if (b->seccomp == -ENOENT) {
        (void)agent_problem_set(b->problem, FAILURE_CARD, -EINVAL, "$.seccomp_profile",
                                "a profile, that is the name of a file in %s/seccomp",
                                b->manager->data_dir);
        (void)snprintf(b->problem->found, sizeof(b->problem->found),
                       "\"%s\", of which there is none", name);
        return -EINVAL;
    }
    if (b->seccomp < 0)
        return agent_problem_set(b->problem, FAILURE_SUPPORT, -ENOTSUP, "seccomp_profile",
                                 "the profile \"%s\" of this host cannot be used: %s", name, why);
    return 0;
}

/* The one that the policy was asked about. Where the card does not name it, its file may be gone
 * since. */
static int step_preset(struct building *b)
{
    struct agent *agent = b->agent;
    const char *name = card_preset(agent->card);
    AUTO_FREE char *why = NULL;

    if (!name)
        return 0;
    int r = preset_load(b->manager->data_dir, name, &agent->preset, &why);
    if (r == -ENOENT && card_command_preset(agent->card))
        return 0;
    if (r == -ENOENT) {
        (void)agent_problem_set(b->problem, FAILURE_CARD, -EINVAL, "$.agent",
                                "a preset, that is the name of a file in %s/agents",
                                b->manager->data_dir);
        (void)snprintf(b->problem->found, sizeof(b->problem->found),
                       "\"%s\", of which there is none", name);
        return -EINVAL;
    }
    return r < 0 ? agent_problem_set(b->problem, FAILURE_SPAWN, r, "preset", "%s: %s", name,
                                     why ? why : strerror(-r))
                 : 0;
}

static int step_command(struct building *b)
{
    int r = agent_command(b->agent->card, b->agent->preset, &b->request->arguments,
                          b->agent->terminal, &b->agent->command);

    if (r == -E2BIG)
        return agent_problem_set(b->problem, FAILURE_SPAWN, r, "command",
                                 "it has more than %d words with its arguments", CARD_COMMAND_MAX);
    return r;
}

static int step_cgroup(struct building *b)
{
    struct agent *agent = b->agent;
    AUTO_FREE char *why = NULL;
    const struct cgroup_host *host =
        b->request->unit ? &b->request->unit->host : &b->manager->cgroups;
    int r = owner_total_admit(b->manager, agent->owner, agent->rule, b->request->unit, b->problem);

    if (r < 0)
        return r;
    r = cgroup_make(host, agent->owner, agent->card->agent_id, &agent->card->limits,
                    agent->workspace.device, &agent->cgroup, &why);
    if (r < 0)
        cgroup_owner_leave(&b->manager->cgroups, agent->owner);
    if (r == -ENOTSUP)
        return agent_problem_set(b->problem, FAILURE_SUPPORT, r, "resource_limits", "%s", why);
    if (r < 0 && why)
        return agent_problem_set(b->problem, FAILURE_SPAWN, r, "cgroup", "%s", why);
    agent->have_cgroup = r >= 0;
    return r;
}

static int step_specification(struct building *b)
{
    struct agent *agent = b->agent;
    const struct agent_spec_input input = {
        .card = agent->card,
        .preset = agent->preset,
        .command = &agent->command,
        .workspace = &agent->workspace,
        .mounts = agent->mounts,
        .api_key = b->request->api_key,
        .uid_base = uid_range_base(agent->slot),
        .terminal = agent->terminal,
        .terminal_rows = b->request->terminal_rows,
        .terminal_columns = b->request->terminal_columns,
        .gate_address = airlock_gate_address((unsigned)agent->slot),
    };
    b->spec = agent_spec_new(&input);
    if (b->spec == -E2BIG)
        return agent_problem_set(b->problem, FAILURE_SPAWN, b->spec, "specification",
                                 "command, environment and preset together are over %d KiB",
                                 SPEC_SIZE_MAX / 1024);
    return b->spec < 0 ? b->spec : 0;
}

static void on_log_relieved(void *user)
{
    agent_update_flow(user);
}

/* From here on the agent's card, and the unit whose cgroup it is in, stay as they are. */
static int step_log(struct building *b)
{
    struct agent *agent = b->agent;
    const struct log_agent_setup setup = {
        .agent_id = agent->card->agent_id,
        .invocation_id = agent->invocation_id,
        .unit = agent->unit,
        .owner_uid = agent->owner,
        .relieved = on_log_relieved,
        .user = agent,
    };

    agent->log = log_agent_new(&setup);
    return agent->log ? 0 : -ENOMEM;
}

/* stdout, stderr and the control socket. */
static int step_channels(struct building *b)
{
    struct agent *agent = b->agent;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return negative_errno();
    agent->control = pair[0];
    b->init_end = pair[1];
    if (fcntl(agent->control, F_SETFL, O_NONBLOCK) < 0)
        return negative_errno();
    for (size_t i = 0; !agent->terminal && i < ARRAY_SIZE(agent->outputs); i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return negative_errno();
        b->pipes[i] = ends[1];
        (void)fcntl(ends[0], F_SETPIPE_SZ, OUTPUT_PIPE_SIZE); /* more is only better */
        int r = output_init(&agent->outputs[i], agent, i == 1 ? OUTPUT_TAG_STDERR : 0, ends[0]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Where caged-init tells caged-scan what it protected. */
static int step_protected(struct building *b)
{
    if (!b->agent->card->protect_git)
        return 0;
    b->agent->scan.protected = memfd_create("caged-protected", MFD_CLOEXEC);
    return b->agent->scan.protected < 0 ? negative_errno() : 0;
}

/* What the host must have for it, before anything runs. */
static int step_transparent(struct building *b)
{
    AUTO_FREE char *why = NULL;

    if (!b->agent->card->transparent)
        return 0;
    int r = airlock_begin_transparent(b->manager->airlock, &why);
    if (r == -ENOTSUP)
        return agent_problem_set(b->problem, FAILURE_SUPPORT, r, "transparent", "%s", why);
    return r;
}

static int step_netns(struct building *b)
{
    b->netns = netns_stock_take(b->manager->netns);
    return b->netns < 0 ? b->netns : 0;
}

static int step_process(struct building *b)
{
    struct agent *agent = b->agent;
    const struct manager *manager = b->manager;
    const size_t n_mounts = agent->card->n_mounts;
    int fds[INIT_FD_COUNT] = {
        [0] = manager->null,
        [1] = agent->terminal ? manager->null : b->pipes[0],
        [2] = agent->terminal ? manager->null : b->pipes[1],
        [INIT_FD_CONTROL] = b->init_end,
        [INIT_FD_SPEC] = b->spec,
        [INIT_FD_WORKSPACE] = agent->workspace.mount,
        [INIT_FD_SECCOMP] = b->seccomp,
        [INIT_FD_PROTECTED] = agent->scan.protected >= 0 ? agent->scan.protected : manager->null,
    };
    for (size_t i = 0; i < n_mounts; i++)
        fds[INIT_FD_MOUNTS + i] = agent->mounts[i].mount;
    const struct process_spec spec = {
        .executable = manager->init_executable,
        .name = "caged-init",
        .user = agent->owner,
        .fds = fds,
        .n_fds = INIT_FD_MOUNTS + n_mounts,
        .clone_flags = CAGE_NAMESPACES,
        .netns_fd = b->netns,
        .cgroup_fd = agent->cgroup.unified_fd,
        .tasks_fds = agent->cgroup.tasks,
        .n_tasks_fds = ARRAY_SIZE(agent->cgroup.tasks),
    };
    int r = process_start(&spec, &agent->init_pid, &agent->init_pidfd);

    if (r == -EBUSY)
        return too_many(b->problem, "processes of one user that are being started",
                        START_CHANNELS_PER_UID_MAX);
    if (r == -EXFULL)
        return too_many(b->problem, "processes that are being started", START_CHANNELS);
    if (r < 0)
        return r;
    agent->init_gone = false;
    agent->workspace.mount = fd_close(agent->workspace.mount);
    workspaces_close(agent->mounts, n_mounts);
    return 0;
}

/* Now, not when the first connection starts the gate, so that what cannot be had is told; and while
 * caged-init builds, so that it costs no time. */
static int step_gate_cgroup(struct building *b)
{
    struct agent *agent = b->agent;
    AUTO_FREE char *why = NULL;
    int r = cgroup_make_gate(&b->manager->cgroups, agent->owner, agent->card->agent_id,
                             agent->card->limits.cpu_shares, &agent->gate_cgroup, &why);

    if (r < 0 && why)
        return agent_problem_set(b->problem, r == -ENOTSUP ? FAILURE_SUPPORT : FAILURE_SPAWN, r,
                                 "cgroup of the gate", "%s", why);
    return r;
}

static int step_network(struct building *b)
{
    struct agent *agent = b->agent;
    int r = agent_hosts_from_card(agent->card, &agent->hosts);

    if (r == -E2BIG)
        return agent_problem_set(b->problem, FAILURE_SUPPORT, r, "allowed_hosts",
                                 "more than %d ports of the host's loopback", GATE_FORWARDS_MAX);
    if (r < 0)
        return r;
    agent->hosts.ask_seconds = b->request->ask_seconds;
    const struct airlock_link_setup setup = {
        .forward_ports = agent->hosts.forward_ports,
        .n_forward_ports = agent->hosts.n_forward_ports,
        .transparent = agent->card->transparent,
    };
    r = airlock_link_make(b->manager->airlock, (unsigned)agent->slot, b->netns, &setup,
                          &agent->link);
    agent->have_link = r >= 0;
    if (agent->have_link) /* in the place of one that was left there */
        b->manager->sweep_at[agent->slot] = 0;
    return r;
}

static int step_supervision(struct building *b)
{
    return agent_supervise(b->agent);
}

/* The barrier: network and limits are there, caged-init may start the agent. */
static int step_go(struct building *b)
{
    CLEANUP(records_writer_deinit) struct records_writer w = {};
    int r = records_put(&w, INIT_MESSAGE_GO, NULL, 0);

    agent_scan_set_start(&b->agent->scan);
    if (r < 0)
        return r;
    ssize_t n = socket_send(b->agent->control, w.data, w.size, NULL, 0);
    /* Gone already: what it said before that, and its exit, are about to be read. */
    return n < 0 && n != -EPIPE && n != -ECONNRESET ? (int)n : 0;
}

static const struct step {
    const char *name;
    int (*run)(struct building *b);
} steps[] = {
    {"claim", step_claim},
    {"seccomp", step_seccomp},
    {"preset", step_preset},
    {"command", step_command},
    {"cgroup", step_cgroup},
    {"log", step_log},
    {"specification", step_specification},
    {"channels", step_channels},
    {"protected folders", step_protected},
    {"transparent", step_transparent},
    {"network namespace", step_netns},
    {"caged-init", step_process},
    {"cgroup of the gate", step_gate_cgroup},
    {"network", step_network},
    {"supervision", step_supervision},
    {"go", step_go},
};

int agent_spawn(struct manager *manager, struct agent_request *request, struct agent **ret,
                struct agent_problem *ret_problem)
{
    struct agent_problem problem = {};
    struct building b = {
        .manager = manager,
        .request = request,
        .problem = &problem,
        .seccomp = -EBADF,
        .spec = -EBADF,
        .pipes = {-EBADF, -EBADF},
        .init_end = -EBADF,
        .netns = -EBADF,
    };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(steps); i++) {
        r = steps[i].run(&b);
        if (r < 0 && problem.failure == FAILURE_NONE)
            (void)agent_problem_set(&problem, FAILURE_SPAWN, r, steps[i].name, "%s", strerror(-r));
    }
    /* Where caged-init was quicker to fail, a step of ours found it gone: its reason is the reason.
     */
    if (r < 0 && b.agent && agent_take_early_failure(b.agent))
        problem = b.agent->problem;
    fd_close(b.spec);
    fd_close(b.pipes[0]);
    fd_close(b.pipes[1]);
    fd_close(b.init_end);
    fd_close(b.netns);
    if (r < 0) {
        report_refusal(manager, request->peer->uid,
                       b.agent ? b.agent->card->agent_id : request->card->agent_id, b.agent,
                       &problem);
        condemned_end(b.agent);
        netns_stock_refill(manager->netns);
        *ret_problem = problem;
        return r;
    }
    b.agent->spawned_usec = clock_usec(CLOCK_REALTIME);
    if (request->foreground && !request->unit) /* a unit's output is the journal's */
        agent_hold_output(b.agent, 1);
    manager_add(manager, b.agent);
    agent_set_state(b.agent, AGENT_STARTING);
    *ret = b.agent;
    return 0;
}
