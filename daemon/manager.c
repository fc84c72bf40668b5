/* What all agents share, and the lists of them. */
#include "manager.h"

#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/condemned.h"
#include "agent/ended-agents.h"
#include "agent/ring-shares.h"
#include "caged-limits.h"
#include "clock.h"
#include "host-check.h"
#include "log.h"
#include "policy/policy-store.h"

#define SWEEP_USEC (1000 * 1000)
#define JOURNAL_GROUP "systemd-journal" /* systemd-journald.service(8), "Access control" */

/* A helper program is opened once: what runs later is what was there at start. */
static int open_helper(const char *folder, const char *name, int *ret)
{
    AUTO_FREE char *path = NULL;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        int r = negative_errno();
        log_error("%s cannot be opened: %s", path, strerror(-r));
        return r;
    }
    *ret = fd;
    return 0;
}

static int load_seccomp(struct manager *manager)
{
    AUTO_FREE char *folder = NULL;

    if (asprintf(&folder, "%s/seccomp", manager->data_dir) < 0)
        return -ENOMEM;
    return seccomp_set_load(folder, &manager->seccomp);
}

static int find_own_folders(struct manager *manager, const struct manager_options *options)
{
    static const char *const helpers[] = {"caged-init", "caged-gate", "caged-scan"};
    int r = own_folders_add_tree(&manager->own, options->data_dir);

    if (r >= 0)
        r = own_folders_add_tree(&manager->own, options->libexec_dir);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(helpers); i++) {
        AUTO_FREE char *path = NULL;
        if (asprintf(&path, "%s/%s", options->libexec_dir, helpers[i]) < 0)
            return -ENOMEM;
        r = own_folders_add_file(&manager->own, path);
    }
    if (r >= 0)
        r = own_folders_add_file(&manager->own, options->policy);
    return r < 0 ? r : own_folders_add_file(&manager->own, options->socket);
}

static void find_groups(struct manager *manager, const char *name)
{
    struct group *group = getgrnam(name);

    manager->have_group = group != NULL;
    if (group)
        manager->group = group->gr_gid;
    else
        log_warning("there is no group %s: only root may use this daemon", name);
    group = getgrnam(JOURNAL_GROUP);
    manager->have_journal_group = group != NULL;
    if (group)
        manager->journal_group = group->gr_gid;
}

static int init_host(struct manager *manager, const char *cgroup_name)
{
    AUTO_FREE char *why = NULL, *cgroup_why = NULL, *network_why = NULL;
    int r = host_check(&why);

    if (r < 0) {
        log_error("no cages here: %s", why ? why : strerror(-r));
        return r;
    }
    r = uid_ranges_init(&manager->ranges);
    if (r < 0) {
        log_error("the uid ranges cannot be set up: %s", strerror(-r));
        return r;
    }
    r = cgroup_host_init(&manager->cgroups, cgroup_name, &cgroup_why);
    if (r < 0) {
        log_error("no cgroups: %s", cgroup_why ? cgroup_why : strerror(-r));
        return r;
    }
    r = peer_places_init(&manager->places, &manager->cgroups);
    if (r < 0) {
        log_error("the daemon's own namespaces cannot be told: %s", strerror(-r));
        return r;
    }
    r = airlock_new(&manager->airlock, &network_why);
    if (r < 0)
        log_error("no airlock: %s", network_why ? network_why : strerror(-r));
    if (r < 0)
        return r;
    r = netns_stock_new(manager->event, &manager->netns, &network_why);
    if (r < 0)
        log_error("no network namespaces: %s", network_why ? network_why : strerror(-r));
    return r;
}

int manager_new(sd_event *event, const struct manager_options *options, struct manager **ret)
{
    CLEANUP(manager_freep) struct manager *manager = malloc(sizeof(*manager));
    int r;

    if (!manager)
        return -ENOMEM;
    *manager = (struct manager){
        .event = sd_event_ref(event),
        .data_dir = options->data_dir,
        .init_executable = -EBADF,
        .gate_executable = -EBADF,
        .scan_executable = -EBADF,
        .null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY),
        .cgroups.lock_fd = -EBADF,
        .events = ring_new(EVENT_RING_SIZE),
    };
    TAILQ_INIT(&manager->live);
    TAILQ_INIT(&manager->ended);
    TAILQ_INIT(&manager->condemned);
    LIST_INIT(&manager->histories);
    LIST_INIT(&manager->totals.list);
    if (manager->null < 0)
        return negative_errno();
    if (!manager->events)
        return -ENOMEM;
    r = closer_new(event, &manager->closer);
    if (r >= 0)
        r = find_own_folders(manager, options);
    if (r >= 0)
        r = open_helper(options->libexec_dir, "caged-init", &manager->init_executable);
    if (r >= 0)
        r = open_helper(options->libexec_dir, "caged-gate", &manager->gate_executable);
    if (r >= 0)
        r = open_helper(options->libexec_dir, "caged-scan", &manager->scan_executable);
    if (r >= 0)
        r = load_seccomp(manager);
    if (r >= 0)
        r = init_host(manager, options->cgroup_name);
    if (r < 0)
        return r;
    find_groups(manager, options->group_name);
    r = policy_store_new(manager, options->policy, &manager->policy);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(manager);
    return 0;
}

struct manager *manager_free(struct manager *manager)
{
    struct agent *agent;

    if (!manager)
        return NULL;
    history_end_all(manager);
    condemned_end_all(manager);
    while ((agent = TAILQ_FIRST(&manager->ended))) {
        TAILQ_REMOVE(&manager->ended, agent, entry);
        agent_free(agent);
    }
    policy_store_free(manager->policy);
    refusal_logs_deinit(&manager->refusals);
    owner_totals_deinit(manager);
    sd_event_source_disable_unref(manager->sweep_source);
    netns_stock_free(manager->netns);
    airlock_free(manager->airlock);
    peer_places_deinit(&manager->places);
    cgroup_host_deinit(&manager->cgroups);
    uid_ranges_deinit(&manager->ranges);
    ring_free(manager->events);
    seccomp_set_deinit(&manager->seccomp);
    fd_close(manager->init_executable);
    fd_close(manager->gate_executable);
    fd_close(manager->scan_executable);
    fd_close(manager->null);
    closer_free(manager->closer);
    own_folders_deinit(&manager->own);
    sd_event_unref(manager->event);
    free(manager);
    return NULL;
}

void manager_shutdown(struct manager *manager)
{
    struct agent *agent, *next;

    manager->shutting_down = true;
    if (manager->n_live == 0)
        (void)sd_event_exit(manager->event, 0);
    for (agent = TAILQ_FIRST(&manager->live); agent; agent = next) {
        next = TAILQ_NEXT(agent, entry);
        agent_stop(agent, END_SHUTDOWN, AGENT_STOP_GRACE);
        agent_scan_hurry(agent);
        agent_update_flow(agent); /* one that ended already may wait for the log alone */
    }
}

static bool is(const struct agent *agent, uid_t owner, const char *agent_id)
{
    return agent->owner == owner && streq(agent->card->agent_id, agent_id);
}

struct agent *manager_find(struct manager *manager, uid_t owner, const char *agent_id)
{
    struct agent *agent;

    TAILQ_FOREACH (agent, &manager->live, entry)
        if (is(agent, owner, agent_id))
            return agent;
    TAILQ_FOREACH_REVERSE (agent, &manager->ended, agent_list, entry)
        if (is(agent, owner, agent_id))
            return agent;
    return NULL;
}

size_t manager_count(const struct manager *manager, uid_t owner)
{
    const struct agent *agent;
    size_t n = condemned_count(manager, &owner);

    TAILQ_FOREACH (agent, &manager->live, entry)
        n += agent->owner == owner;
    TAILQ_FOREACH (agent, &manager->ended, entry)
        n += agent->owner == owner && !log_agent_is_written(agent->log);
    return n;
}

size_t manager_count_all(const struct manager *manager)
{
    const struct agent *agent;
    size_t n = manager->n_live + condemned_count(manager, NULL);

    TAILQ_FOREACH (agent, &manager->ended, entry)
        n += !log_agent_is_written(agent->log);
    return n;
}

void manager_add(struct manager *manager, struct agent *agent)
{
    TAILQ_INSERT_TAIL(&manager->live, agent, entry);
    manager->n_live++;
    ring_shares_update(manager);
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *user)
{
    struct manager *manager = user;
    uint64_t now = clock_usec(CLOCK_MONOTONIC);
    bool more = false;

    for (unsigned slot = 0; slot < AGENTS_MAX; slot++) {
        if (manager->sweep_at[slot] == 0)
            continue;
        /* Taken: by the agent itself, while caged-scan looks, or for a reader of past output, or by
         * an agent that is about to make a link and sees to it. */
        if (manager->sweep_at[slot] > now || manager->ranges.slots[slot].taken) {
            more = true;
            continue;
        }
        manager->sweep_at[slot] = 0;
        int r = airlock_link_sweep(manager->airlock, slot);
        if (r < 0)
            log_warning("the link of slot %u cannot be removed: %s", slot, strerror(-r));
    }
    if (more && sd_event_source_set_time_relative(source, SWEEP_USEC) >= 0)
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    manager->sweep_source = sd_event_source_disable_unref(manager->sweep_source);
    (void)malloc_trim(0); /* what ended agents had lies between what is still in use */
    return 0;
}

/* The timer that runs is left as it is: agents that end without pause must not put it off. */
void manager_sweep_link(struct manager *manager, unsigned slot)
{
    manager->sweep_at[slot] = clock_usec(CLOCK_MONOTONIC) + SWEEP_USEC;
    if (!manager->sweep_source)
        (void)sd_event_add_time_relative(manager->event, &manager->sweep_source, CLOCK_MONOTONIC,
                                         SWEEP_USEC, 0, on_sweep, manager);
}

void manager_retire(struct manager *manager, struct agent *agent)
{
    TAILQ_REMOVE(&manager->live, agent, entry);
    manager->n_live--;
    TAILQ_INSERT_TAIL(&manager->ended, agent, entry);
    ended_agents_forget(manager, agent->owner);
    ring_shares_update(manager);
    if (!manager->shutting_down)
        netns_stock_refill(manager->netns);
    if (manager->shutting_down && manager->n_live == 0)
        (void)sd_event_exit(manager->event, 0);
}
