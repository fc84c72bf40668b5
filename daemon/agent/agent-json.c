/* Agents as JSON. */
#include "agent/agent-json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/wait.h>

#include "clock.h"
#include "gate-proto.h"
#include "json-bytes.h"
#include "json-text.h"

/* Sets a member unless there is nothing to say; `value` is taken. */
static void set_if(json_t *object, bool condition, const char *name, json_t *value)
{
    if (condition)
        (void)json_object_set_new(object, name, value);
    else
        json_decref(value);
}

static json_int_t ttl_left(const struct agent *agent)
{
    uint64_t now = clock_usec(CLOCK_BOOTTIME);

    return now < agent->ttl_end_usec ? (json_int_t)((agent->ttl_end_usec - now) / 1000000) : 0;
}

/* It has to wait: an agent with too much of it unwritten is held up with its output, and not over.
 * The error number that the log is held up by, or 0. */
static int log_error_of(const struct agent *agent)
{
    return agent->log && !log_agent_is_written(agent->log) ? log_held() : 0;
}

json_t *agent_to_json(const struct agent *agent)
{
    bool ended = agent->state == AGENT_ENDED;
    int held = log_error_of(agent);
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:s, s:o, s:s, s:I}", "agent_id", agent->card->agent_id, "invocation_id",
        agent->invocation_id, "owner_uid", (json_int_t)agent->owner, "agent",
        agent->preset ? agent->preset->name : "", "workspace",
        json_string_lossy(agent->workspace.path), "state", agent_state_to_string(agent->state),
        "spawned_usec", (json_int_t)agent->spawned_usec);

    if (!object)
        return NULL;
    set_if(object, agent->unit, "unit", json_string(agent->unit));
    set_if(object, agent->agent_pid > 0 && !ended, "pid", json_integer(agent->agent_pid));
    set_if(object, ended, "ended_usec", json_integer((json_int_t)agent->ended_usec));
    set_if(object, agent->ttl_end_usec > 0 && !ended, "ttl_left", json_integer(ttl_left(agent)));
    set_if(object, held != 0, "log_held", json_string(strerror(held)));
    if (!ended)
        return object;
    agent_put_planted(agent, object);
    set_if(object, true, "reason", json_string(end_reason_to_string(agent->reason)));
    set_if(object, agent->have_status && WIFEXITED(agent->status), "exit_status",
           json_integer(WEXITSTATUS(agent->status)));
    set_if(object, agent->have_status && WIFSIGNALED(agent->status), "signal",
           json_integer(WTERMSIG(agent->status)));
    if (agent->problem.failure != FAILURE_NONE) {
        char detail[sizeof(agent->problem.step) + sizeof(agent->problem.why) + 2];
        (void)snprintf(detail, sizeof(detail), "%s: %s", agent->problem.step, agent->problem.why);
        (void)json_object_set_new(object, "detail", json_string_lossy(detail));
    }
    return object;
}

/* What caged-scan found; nothing of it for an agent that never ran. */
void agent_put_planted(const struct agent *agent, json_t *object)
{
    const struct planted_list *found = &agent->scan.found;
    json_t *files = agent->scan.state == AGENT_SCAN_OVER ? json_array() : NULL;

    for (size_t i = 0; files && i < found->count; i++) {
        const struct planted_file *file = &found->files[i];
        json_t *item = json_pack("{s:o, s:s, s:s}", "path", json_string_lossy(file->path), "kind",
                                 planted_kind_to_string(file->kind), "change",
                                 planted_change_to_string(file->change));
        if (item && file->cut)
            (void)json_object_set_new(item, "cut", json_true());
        (void)json_array_append_new(files, item);
    }
    if (!files)
        return;
    (void)json_object_set_new(object, "planted", files);
    set_if(object, found->more > 0, "planted_more", json_integer((json_int_t)found->more));
    if (found->incomplete)
        (void)json_object_set_new(object, "planted_incomplete", json_string(found->incomplete));
}

static json_t *strings_to_json(char *const *items, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < n; i++)
        (void)json_array_append_new(array, json_string(items[i]));
    return array;
}

json_t *agent_allowed_to_json(const struct agent *agent)
{
    return strings_to_json((char *const *)agent->hosts.allowed, agent->hosts.n_allowed);
}

json_t *agent_denied_to_json(const struct agent *agent)
{
    return strings_to_json((char *const *)agent->hosts.denied, agent->hosts.n_denied);
}

json_t *agent_private_to_json(const struct agent *agent)
{
    return strings_to_json(agent->card->private_hosts.items, agent->card->private_hosts.count);
}

static json_t *mounts_to_json(const struct agent *agent)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < agent->card->n_mounts; i++) {
        const struct card_mount *mount = &agent->card->mounts[i];
        (void)json_array_append_new(
            array, json_pack("{s:o, s:s, s:b}", "source", json_string_lossy(agent->mounts[i].path),
                             "target", mount->target, "readonly", mount->readonly));
    }
    return array;
}

static void add_limits(json_t *array, const struct cgroup_applied *limits, size_t n)
{
    for (size_t i = 0; array && i < n; i++)
        (void)json_array_append_new(
            array, json_pack("{s:s, s:I, s:s, s:s, s:s}", "limit", limits[i].limit, "value",
                             (json_int_t)limits[i].value, "controller",
                             cgroup_controller_to_string(limits[i].controller), "file",
                             limits[i].file, "written", limits[i].written));
}

/* Its own, and those that it shares with its owner's others. */
static json_t *limits_to_json(const struct agent *agent)
{
    const struct cgroup_owner *owner = owner_total_find(agent->manager, agent->owner);
    json_t *array = json_array();

    add_limits(array, agent->cgroup.applied, agent->cgroup.n_applied);
    if (owner && agent->state != AGENT_ENDED)
        add_limits(array, owner->limits, owner->n_limits);
    return array;
}

static json_t *cgroups_to_json(const struct cgroup *cgroup)
{
    json_t *array = json_array();

    if (array && cgroup->unified)
        (void)json_array_append_new(array, json_string(cgroup->unified));
    for (int c = 0; array && c < CGROUP_CONTROLLER_COUNT; c++)
        if (cgroup->folders[c])
            (void)json_array_append_new(array, json_string(cgroup->folders[c]));
    return array;
}

static json_t *forwards_to_json(const struct agent_hosts *config)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < config->n_forward_ports; i++)
        if (config->forward_listed[i])
            (void)json_array_append_new(array,
                                        json_sprintf("127.0.0.1:%u", config->forward_ports[i]));
    return array;
}

static json_t *network_to_json(const struct agent *agent, const json_t *card)
{
    char agent_address[INET_ADDRSTRLEN] = "", gate_address[INET_ADDRSTRLEN] = "";
    const struct agent_hosts *config = &agent->hosts;
    pid_t gate_pid = agent->gate ? gate_supervisor_pid(agent->gate) : 0;
    json_t *network;

    (void)inet_ntop(AF_INET, &agent->link.agent_address, agent_address, sizeof(agent_address));
    (void)inet_ntop(AF_INET, &agent->link.gate_address, gate_address, sizeof(gate_address));
    network = json_pack(
        "{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:b, s:I, s:I}", "interface", agent->link.name,
        "agent_address", agent_address, "gate_address", gate_address, "gate_port", GATE_PORT,
        "allowed_hosts", agent_allowed_to_json(agent), "private_hosts",
        agent_private_to_json(agent), "denied_hosts", agent_denied_to_json(agent), "forwards",
        forwards_to_json(config), "transparent", agent->card->transparent, "allowed",
        (json_int_t)agent->allowed, "refused", (json_int_t)agent->refused);
    if (network)
        (void)json_object_set_new(network, "gate_cgroups", cgroups_to_json(&agent->gate_cgroup));
    if (network && gate_pid > 0)
        (void)json_object_set_new(network, "gate_pid", json_integer(gate_pid));
    if (network && json_object_get(card, "proxy")) /* as card_to_json() masks it */
        (void)json_object_set(network, "parent_proxy", json_object_get(card, "proxy"));
    return network;
}

/* The card as it is in force. */
static json_t *card_in_force(const struct agent *agent)
{
    json_t *card = card_to_json(agent->card);

    if (card && (json_object_set_new(card, "allowed_hosts", agent_allowed_to_json(agent)) < 0 ||
                 json_object_set_new(card, "denied_hosts", agent_denied_to_json(agent)) < 0)) {
        json_decref(card);
        return NULL;
    }
    return card;
}

json_t *agent_inspect_to_json(const struct agent *agent)
{
    json_t *card = card_in_force(agent);
    json_t *object;

    if (!card)
        return NULL;
    object =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "agent", agent_to_json(agent), "command",
                  strings_to_json(agent->command.items, agent->command.count), "mounts",
                  mounts_to_json(agent), "limits", limits_to_json(agent), "network",
                  network_to_json(agent, card), "cgroups", cgroups_to_json(&agent->cgroup),
                  "uid_base", (json_int_t)(agent->slot >= 0 ? uid_range_base(agent->slot) : 0));
    if (!object || json_object_set_new(object, "card", card) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *agent_line_to_json(const struct ring_entry *entry)
{
    const char *name;
    json_t *bytes = json_bytes(entry->data, entry->size, &name);
    json_t *line;

    if (!bytes)
        return NULL;
    line = json_pack("{s:I, s:I, s:s, s:o}", "sequence", (json_int_t)entry->sequence, "time_usec",
                     (json_int_t)entry->time_usec, "stream",
                     entry->tag & OUTPUT_TAG_STDERR ? "stderr" : "stdout", name, bytes);
    if (line && (entry->tag & OUTPUT_TAG_PARTIAL))
        (void)json_object_set_new(line, "partial", json_true());
    return line;
}
