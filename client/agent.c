/* An agent as the daemon tells of it, and what its end means. */
#include "agent.h"

#include <inttypes.h>
#include <stdio.h>

#include "exit-status.h"
#include "field.h"
#include "signals.h"
#include "text.h"
#include "util.h"

/* What each reason is called, and the exit status where the agent left none that tells of it. */
struct reason {
    const char *name;
    const char *text;
    int status;
    bool zero_is_fine; /* an exit status 0 of the agent stands as it is */
};

static const struct reason reasons[] = {
    {"exited", "", STATUS_CAGE, true},
    {"signaled", "a signal", STATUS_SIGNAL + 9, true},
    {"out_of_memory", "out of memory", STATUS_SIGNAL + 9, false},
    {"tasks_limit", "its limit of tasks was reached", STATUS_CAGE, false},
    {"ttl", "its time to live was over", STATUS_TTL, false},
    {"stopped", "stopped", STATUS_SIGNAL + 15, true},
    {"killed", "killed", STATUS_SIGNAL + 9, true},
    {"client_gone", "its client went away", STATUS_SIGNAL + 1, false},
    {"failed", "the cage failed", STATUS_CAGE, false},
    {"shutdown", "the daemon was shut down", STATUS_SIGNAL + 15, false},
};

json_t *agent_name_to_json(const struct agent_name *name)
{
    if (name->owner_uid == AGENT_NONE)
        return json_pack("{s:s*}", "agent_id", name->id);
    return json_pack("{s:s*, s:I}", "agent_id", name->id, "owner_uid", (json_int_t)name->owner_uid);
}

int agent_from_json(const json_t *json, struct agent *ret)
{
    struct agent a = {
        .pid = AGENT_NONE,
        .ended_usec = AGENT_NONE,
        .ttl_left = AGENT_NONE,
        .exit_status = AGENT_NONE,
        .signal = AGENT_NONE,
    };

    if (!json_is_object(json) || field_string(json, "agent_id", &a.id) < 0 ||
        field_u64(json, "owner_uid", &a.owner_uid) < 0 ||
        field_string(json, "agent", &a.preset) < 0 ||
        field_string(json, "workspace", &a.workspace) < 0 ||
        field_string(json, "state", &a.state) < 0 ||
        field_u64(json, "spawned_usec", &a.spawned_usec) < 0)
        return -EPROTO;
    if (field_u64_optional(json, "pid", &a.pid) < 0 ||
        field_u64_optional(json, "ended_usec", &a.ended_usec) < 0 ||
        field_u64_optional(json, "ttl_left", &a.ttl_left) < 0 ||
        field_u64_optional(json, "exit_status", &a.exit_status) < 0 ||
        field_u64_optional(json, "signal", &a.signal) < 0 ||
        field_string_optional(json, "invocation_id", &a.invocation_id) < 0 ||
        field_string_optional(json, "unit", &a.unit) < 0 ||
        field_string_optional(json, "reason", &a.reason) < 0 ||
        field_string_optional(json, "detail", &a.detail) < 0 ||
        field_string_optional(json, "log_held", &a.log_held) < 0)
        return -EPROTO;
    if ((a.exit_status != AGENT_NONE && a.exit_status > 255) ||
        (a.signal != AGENT_NONE && (a.signal < 1 || a.signal > 127)))
        return -EPROTO;
    *ret = a;
    return 0;
}

int agent_from_parameters(const json_t *parameters, struct agent *ret)
{
    return agent_from_json(json_object_get(parameters, "agent"), ret);
}

static const struct reason *reason_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (streq_null(reasons[i].name, name))
            return &reasons[i];
    return NULL;
}

int agent_exit_status(const struct agent *agent)
{
    const struct reason *reason = reason_find(agent->reason);

    if (agent->signal != AGENT_NONE)
        return STATUS_SIGNAL + (int)agent->signal;
    if (agent->exit_status != AGENT_NONE && agent->exit_status != 0)
        return (int)agent->exit_status;
    if (!reason)
        return STATUS_CAGE;
    if (agent->exit_status == 0 && reason->zero_is_fine)
        return 0;
    return reason->status;
}

int agent_unit_status(const struct agent *agent)
{
    int status = agent_exit_status(agent);

    if (streq_null(agent->reason, "stopped") || streq_null(agent->reason, "ttl"))
        return 0;
    if (status == 0 && !streq_null(agent->reason, "exited"))
        return STATUS_SIGNAL + 9; /* killed, and it left a 0 all the same */
    return status;
}

/* The limit that the reason is about, where we know the card. */
static void limit_format(const struct agent *agent, const struct card *card, char *buffer,
                         size_t size)
{
    const char *other = agent->unit ? ", or the unit's own" : "";

    buffer[0] = 0;
    if (!card)
        return;
    if (streq_null(agent->reason, "out_of_memory"))
        (void)snprintf(buffer, size, " (limit %" PRIu64 " MiB%s)", card->limits.memory_mb, other);
    else if (streq_null(agent->reason, "tasks_limit"))
        (void)snprintf(buffer, size, " (limit %" PRIu64 "%s)", card->limits.max_processes, other);
    else if (streq_null(agent->reason, "ttl"))
        (void)snprintf(buffer, size, " (limit %" PRIu64 " s)", card->ttl_seconds);
}

void agent_end_format(const struct agent *agent, const struct card *card, char *buffer, size_t size)
{
    const struct reason *reason = reason_find(agent->reason);
    const char *why = reason ? reason->text : agent->reason ? agent->reason : "unknown reason";
    char limit[64], status[64] = "", name[32];

    limit_format(agent, card, limit, sizeof(limit));
    if (agent->signal != AGENT_NONE)
        (void)snprintf(status, sizeof(status), "%s%s", *why ? ", " : "",
                       signal_to_string((int)agent->signal, name, sizeof(name)));
    else if (agent->exit_status != AGENT_NONE)
        (void)snprintf(status, sizeof(status), "%sexit status %" PRIu64, *why ? ", " : "",
                       agent->exit_status);
    (void)snprintf(buffer, size, "%s%s%s%s%s", why, limit, status, agent->detail ? ": " : "",
                   agent->detail ? agent->detail : "");
}

void agent_say_end(const struct agent *agent, const struct card *card)
{
    char text[1024];

    if (streq_null(agent->reason, "exited"))
        return;
    agent_end_format(agent, card, text, sizeof(text));
    say("agent %s ended: %s", agent->id, text);
}
