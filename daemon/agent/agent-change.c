/* A running agent gets or loses single hosts. As with a reload: first all that can fail, then the
 * change at once. The card stays as it is; the lists that are in force are the agent's own from
 * then on, until a reload goes back to those of the card. */
#include "agent/agent-change.h"

#include "agent/report.h"
#include "init-spec.h"

/* What is in force now, borrowed; of the forwards' entries those that were taken. */
static struct host_lists lists_now(const struct agent_hosts *hosts)
{
    return (struct host_lists){
        .allowed = {(char **)hosts->allowed, hosts->n_allowed},
        .denied = {(char **)hosts->denied, hosts->n_denied},
    };
}

static json_t *list_left_out(const struct string_list *list, const bool *left_out)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->count; i++) {
        if (left_out[i] && json_array_append_new(array, json_string(list->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int describe(const struct agent_hosts *now, const struct agent_hosts *next,
                    const struct host_lists *lists, const bool *left_out, struct agent_change *ret)
{
    struct agent_change change = {
        .added =
            agent_change_difference(next->allowed, next->n_allowed, now->allowed, now->n_allowed),
        .removed =
            agent_change_difference(now->allowed, now->n_allowed, next->allowed, next->n_allowed),
        .denied_added =
            agent_change_difference(next->denied, next->n_denied, now->denied, now->n_denied),
        .denied_removed =
            agent_change_difference(now->denied, now->n_denied, next->denied, next->n_denied),
        .ignored = list_left_out(&lists->allowed, left_out),
    };

    if (!change.added || !change.removed || !change.denied_added || !change.denied_removed ||
        !change.ignored) {
        agent_change_deinit(&change);
        return -ENOMEM;
    }
    *ret = change;
    return 0;
}

static bool is_change(const struct agent_change *change)
{
    return json_array_size(change->added) + json_array_size(change->removed) +
               json_array_size(change->denied_added) + json_array_size(change->denied_removed) >
           0;
}

/* The configuration for the gate, or -errno; nothing is in force by it yet. */
static int prepare(const struct agent *agent, const struct host_change *host_change,
                   struct host_lists *ret_lists, struct agent_hosts *ret_hosts,
                   struct agent_change *ret_change, struct host_change_fault *ret_fault)
{
    const struct host_lists now = lists_now(&agent->hosts);
    bool left_out[CARD_HOSTS_MAX];
    int r = host_lists_change(&now, host_change, agent->rule, ret_lists, ret_fault);

    if (r == 0)
        r = agent_hosts_take(&agent->hosts, ret_lists, ret_hosts, left_out);
    if (r == 0)
        r = describe(&agent->hosts, ret_hosts, ret_lists, left_out, ret_change);
    if (r < 0)
        return r;
    return agent_hosts_seal(ret_hosts, agent->card, uid_range_base(agent->slot) + CAGE_GATE_OFFSET);
}

int agent_change_hosts(struct agent *agent, const struct host_change *host_change, uid_t by,
                       struct agent_change *ret, struct host_change_fault *ret_fault,
                       uint64_t *ret_update)
{
    struct agent_change change = {};
    struct host_lists lists = {};
    struct agent_hosts hosts;

    if (!log_agent_has_room(agent->log))
        return -EBUSY;
    int config = prepare(agent, host_change, &lists, &hosts, &change, ret_fault);
    if (config < 0) {
        agent_change_deinit(&change);
        host_lists_deinit(&lists);
        return config;
    }
    report_reload(agent, &change, by); /* before anything can happen by the new lists */
    agent->hosts = hosts;
    host_lists_deinit(&agent->live);
    agent->live = lists;
    agent->live_changed = agent->live_changed || is_change(&change);
    *ret_update = gate_supervisor_update(agent->gate, config);
    *ret = change;
    return 0;
}
