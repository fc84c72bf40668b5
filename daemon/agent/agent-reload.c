/* A running agent gets the hosts of its card as it is now: first all that can fail, then the change
 * at once. */
#include "agent/agent-reload.h"

#include <stdio.h>

#include "agent/report.h"
#include "card-diff.h"
#include "init-spec.h"

void agent_change_deinit(struct agent_change *change)
{
    json_decref(change->added);
    json_decref(change->removed);
    json_decref(change->private_added);
    json_decref(change->private_removed);
    json_decref(change->denied_added);
    json_decref(change->denied_removed);
    json_decref(change->ignored);
    *change = (struct agent_change){};
}

/* -- what changes -- */

json_t *agent_change_difference(const char *const *of, size_t n, const char *const *without,
                                size_t n_without)
{
    json_t *array = json_array(), *seen = json_object();
    int r = array && seen ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n_without; i++)
        r = json_object_set_new(seen, without[i], json_true());
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (json_object_get(seen, of[i]))
            continue;
        r = json_array_append_new(array, json_string(of[i]));
        if (r == 0)
            r = json_object_set_new(seen, of[i], json_true());
    }
    json_decref(seen);
    if (r == 0)
        return array;
    json_decref(array);
    return NULL;
}

static int add_left_out(json_t *ignored, const bool *left_out, size_t n)
{
    char path[64];

    for (size_t i = 0; i < n; i++) {
        if (!left_out[i])
            continue;
        (void)snprintf(path, sizeof(path), "$.allowed_hosts[%zu]", i);
        if (json_array_append_new(ignored, json_string(path)) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The same of two lists of cards. */
static json_t *list_difference(const struct string_list *of, const struct string_list *without)
{
    return agent_change_difference((const char *const *)of->items, of->count,
                                   (const char *const *)without->items, without->count);
}

/* Whether the path is that of a list that a running agent takes over. */
static bool is_list_of_hosts(const char *path)
{
    return streq(path, "$.allowed_hosts") || streq(path, "$.private_hosts") ||
           streq(path, "$.denied_hosts");
}

/* What the card has besides its hosts, and entries that could not be taken. */
static json_t *list_ignored(const struct agent *agent, const struct card *card,
                            const bool *left_out)
{
    json_t *paths = card_diff(agent->card, card), *ignored = json_array(), *path;
    size_t i;
    int r = paths && ignored ? 0 : -ENOMEM;

    json_array_foreach (paths, i, path) {
        if (r == 0 && !is_list_of_hosts(json_string_value(path)))
            r = json_array_append(ignored, path);
    }
    if (r == 0)
        r = add_left_out(ignored, left_out, card->allowed_hosts.count);
    json_decref(paths);
    if (r == 0)
        return ignored;
    json_decref(ignored);
    return NULL;
}

static int describe(const struct agent *agent, const struct card *card,
                    const struct agent_hosts *next, const bool *left_out, struct agent_change *ret)
{
    const struct agent_hosts *now = &agent->hosts;
    const struct card *before = agent->card;
    struct agent_change change = {
        .added =
            agent_change_difference(next->allowed, next->n_allowed, now->allowed, now->n_allowed),
        .removed =
            agent_change_difference(now->allowed, now->n_allowed, next->allowed, next->n_allowed),
        .private_added = list_difference(&card->private_hosts, &before->private_hosts),
        .private_removed = list_difference(&before->private_hosts, &card->private_hosts),
        .denied_added =
            agent_change_difference(next->denied, next->n_denied, now->denied, now->n_denied),
        .denied_removed =
            agent_change_difference(now->denied, now->n_denied, next->denied, next->n_denied),
        .ignored = list_ignored(agent, card, left_out),
        .live = agent->live_changed,
    };

    if (!change.added || !change.removed || !change.private_added || !change.private_removed ||
        !change.denied_added || !change.denied_removed || !change.ignored) {
        agent_change_deinit(&change);
        return -ENOMEM;
    }
    *ret = change;
    return 0;
}

/* -- the change -- */

static void swap(struct string_list *a, struct string_list *b)
{
    struct string_list other = *a;

    *a = *b;
    *b = other;
}

/* What is allowed points into the lists, so they go together; and the same way back. */
static void swap_lists(struct agent *agent, struct card *card, struct agent_hosts *hosts)
{
    struct agent_hosts other = agent->hosts;

    swap(&agent->card->allowed_hosts, &card->allowed_hosts);
    swap(&agent->card->private_hosts, &card->private_hosts);
    swap(&agent->card->denied_hosts, &card->denied_hosts);
    agent->hosts = *hosts;
    *hosts = other;
}

int agent_reload(struct agent *agent, struct card *card, uid_t by, struct agent_change *ret,
                 uint64_t *ret_update)
{
    CLEANUP(agent_change_deinit) struct agent_change change = {};
    bool left_out[CARD_HOSTS_MAX];
    struct agent_hosts hosts;
    int r;

    if (!log_agent_has_room(agent->log))
        return -EBUSY;
    r = agent_hosts_change(&agent->hosts, card, agent->card->api_provider, &hosts, left_out);

    if (r >= 0)
        r = describe(agent, card, &hosts, left_out, &change);
    if (r < 0)
        return r;
    swap_lists(agent, card, &hosts);
    int config = agent_hosts_seal(&agent->hosts, agent->card,
                                  uid_range_base(agent->slot) + CAGE_GATE_OFFSET);
    if (config < 0) {
        swap_lists(agent, card, &hosts);
        return config;
    }
    report_reload(agent, &change, by); /* before anything can happen by the new lists */
    host_lists_deinit(&agent->live);
    agent->live_changed = false;
    *ret_update = gate_supervisor_update(agent->gate, config);
    *ret = change;
    change = (struct agent_change){};
    return 0;
}
