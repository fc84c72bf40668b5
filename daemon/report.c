/* Log entries and events about agents. */
#include "report.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/wait.h>

#include "clock.h"
#include "json-text.h"
#include "log.h"

/* Adds the event to the ring; takes the reference to `event` (type Event of io.caged.varlink but
 * for the members that the ring itself has). */
static void emit(struct agent *agent, const char *kind, json_t *event)
{
    struct manager *manager = agent->manager;
    char *text = NULL;

    if (event && json_object_set_new(event, "agent_id", json_string(agent->card->agent_id)) == 0 &&
        json_object_set_new(event, "kind", json_string(kind)) == 0)
        text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!text || ring_push(manager->events, clock_usec(CLOCK_REALTIME), agent->owner, text,
                           strlen(text)) < 0)
        log_warning("no memory for an event of agent %s", agent->card->agent_id);
    free(text);
    watch_list_wake(&manager->event_watches);
}

struct owner_text {
    char text[16];
};

static const char *owner_text(uid_t owner, struct owner_text *buffer)
{
    (void)snprintf(buffer->text, sizeof(buffer->text), "%u", owner);
    return buffer->text;
}

/* "exited with status 3", "out_of_memory (signal 9)", ... */
static void describe_end(const struct agent *agent, char *buffer, size_t size)
{
    const char *reason = end_reason_to_string(agent->reason);

    if (agent->reason == END_FAILED && agent->problem.failure != FAILURE_NONE)
        (void)snprintf(buffer, size, "failed: %s: %s", agent->problem.step, agent->problem.why);
    else if (!agent->have_status)
        (void)snprintf(buffer, size, "%s", reason);
    else if (WIFSIGNALED(agent->status))
        (void)snprintf(buffer, size, "%s (signal %d)", reason, WTERMSIG(agent->status));
    else
        (void)snprintf(buffer, size, "%s (status %d)", reason, WEXITSTATUS(agent->status));
}

static void report_ended(struct agent *agent)
{
    struct owner_text owner;
    char how[1024];
    bool failed = agent->reason == END_FAILED;
    json_t *event = json_pack("{s:s}", "reason", end_reason_to_string(agent->reason));

    describe_end(agent, how, sizeof(how));
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent->card->agent_id},
        {"CAGED_OWNER_UID", owner_text(agent->owner, &owner)},
        {"CAGED_REASON", end_reason_to_string(agent->reason)},
    };
    log_entry(failed ? LOG_ERR : LOG_NOTICE, failed ? LOG_ID_AGENT_FAILED : LOG_ID_AGENT_ENDED,
              fields, ARRAY_SIZE(fields), "agent %s of uid %u ended: %s", agent->card->agent_id,
              agent->owner, how);
    if (event && agent->have_status && WIFEXITED(agent->status))
        (void)json_object_set_new(event, "exit_status", json_integer(WEXITSTATUS(agent->status)));
    if (event && agent->have_status && WIFSIGNALED(agent->status))
        (void)json_object_set_new(event, "signal", json_integer(WTERMSIG(agent->status)));
    emit(agent, "ended", event);
}

void report_state(struct agent *agent)
{
    struct owner_text owner;
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent->card->agent_id},
        {"CAGED_OWNER_UID", owner_text(agent->owner, &owner)},
    };

    switch (agent->state) {
    case AGENT_STARTING:
        emit(agent, "spawned", json_object());
        break;
    case AGENT_RUNNING:
        log_entry(LOG_NOTICE, LOG_ID_AGENT_STARTED, fields, ARRAY_SIZE(fields),
                  "agent %s of uid %u runs in %s", agent->card->agent_id, agent->owner,
                  agent->workspace.path);
        emit(agent, "running", json_object());
        break;
    case AGENT_STOPPING:
        log_entry(LOG_INFO, LOG_ID_AGENT_STOPPING, fields, ARRAY_SIZE(fields),
                  "agent %s of uid %u is being stopped: %s", agent->card->agent_id, agent->owner,
                  end_reason_to_string(agent->requested));
        emit(agent, "stopping", json_object());
        break;
    default:
        report_ended(agent);
        break;
    }
}

void report_decision(struct agent *agent, const struct gate_decision *decision)
{
    struct owner_text owner;
    char port[8];
    json_t *event;

    (void)snprintf(port, sizeof(port), "%u", decision->port);
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent->card->agent_id},
        {"CAGED_OWNER_UID", owner_text(agent->owner, &owner)},
        {"CAGED_VERDICT", decision->allowed ? "allowed" : "refused"},
        {"CAGED_METHOD", decision->method},
        {"CAGED_HOST", decision->host},
        {"CAGED_PORT", port},
        {"CAGED_ADDRESS", decision->address},
        {"CAGED_RULE", decision->rule},
        {"CAGED_CODE", decision->reason},
    };

    if (decision->allowed)
        agent->allowed++;
    else
        agent->refused++;
    log_entry(decision->allowed ? LOG_INFO : LOG_NOTICE,
              decision->allowed ? LOG_ID_NETWORK_ALLOWED : LOG_ID_NETWORK_REFUSED, fields,
              ARRAY_SIZE(fields), "agent %s of uid %u: %s %s %s:%u%s%s%s (%s)",
              agent->card->agent_id, agent->owner, decision->allowed ? "allowed" : "refused",
              decision->method, decision->host, decision->port, *decision->address ? " at " : "",
              decision->address, decision->allowed ? " by rule" : "",
              decision->allowed ? decision->rule : decision->reason);
    event = json_pack(
        "{s:b, s:o, s:o, s:i, s:o, s:o, s:o}", "allowed", decision->allowed, "method",
        json_string_lossy(decision->method), "host", json_string_lossy(decision->host), "port",
        (int)decision->port, "address", json_string_lossy(decision->address), "rule",
        json_string_lossy(decision->rule), "code", json_string_lossy(decision->reason));
    emit(agent, "network", event);
}

/* The strings of an array with a space between each two: no host has one. NULL for none. */
static char *join(const json_t *array)
{
    size_t size = 1, used = 0, i;
    json_t *item;

    if (json_array_size(array) == 0)
        return NULL;
    json_array_foreach (array, i, item)
        size += json_string_length(item) + 1;
    char *text = calloc(size, 1);
    json_array_foreach (array, i, item) {
        if (text)
            used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? " " : "",
                                     json_string_value(item));
    }
    return text;
}

void report_reload(struct agent *agent, const struct agent_change *change, uid_t by)
{
    AUTO_FREE char *added = join(change->added), *removed = join(change->removed);
    AUTO_FREE char *private_added = join(change->private_added);
    AUTO_FREE char *private_removed = join(change->private_removed);
    size_t n_added = json_array_size(change->added), n_removed = json_array_size(change->removed);
    size_t n_private_added = json_array_size(change->private_added);
    size_t n_private_removed = json_array_size(change->private_removed);
    struct owner_text owner, by_text;
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent->card->agent_id},
        {"CAGED_OWNER_UID", owner_text(agent->owner, &owner)},
        {"CAGED_BY_UID", owner_text(by, &by_text)},
        {"CAGED_ADDED", added},
        {"CAGED_REMOVED", removed},
        {"CAGED_PRIVATE_ADDED", private_added},
        {"CAGED_PRIVATE_REMOVED", private_removed},
    };

    if (n_added + n_removed + n_private_added + n_private_removed == 0)
        return;
    log_entry(LOG_NOTICE, LOG_ID_AGENT_RELOADED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u: uid %u changed its hosts: %zu added, %zu removed; private ones: "
              "%zu added, %zu removed",
              agent->card->agent_id, agent->owner, by, n_added, n_removed, n_private_added,
              n_private_removed);
    emit(agent, "reloaded",
         json_pack("{s:I, s:O, s:O, s:O, s:O}", "by_uid", (json_int_t)by, "added", change->added,
                   "removed", change->removed, "private_added", change->private_added,
                   "private_removed", change->private_removed));
}

void report_cut(struct agent *agent, uint64_t n)
{
    struct owner_text owner;
    char count[24];

    (void)snprintf(count, sizeof(count), "%ju", (uintmax_t)n);
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent->card->agent_id},
        {"CAGED_OWNER_UID", owner_text(agent->owner, &owner)},
        {"CAGED_CUT", count},
    };

    log_entry(LOG_NOTICE, LOG_ID_NETWORK_CUT, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u: %ju connections were cut that its new hosts do not allow",
              agent->card->agent_id, agent->owner, (uintmax_t)n);
}

void report_gate_failure(struct agent *agent, const char *why)
{
    struct owner_text owner;
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent->card->agent_id},
        {"CAGED_OWNER_UID", owner_text(agent->owner, &owner)},
    };

    log_entry(LOG_WARNING, LOG_ID_GATE_FAILED, fields, ARRAY_SIZE(fields),
              "the gate of agent %s of uid %u failed: %s; the next connection gets a new one",
              agent->card->agent_id, agent->owner, why);
}

void report_refusal(uid_t owner, const char *agent_id, const struct agent_problem *problem)
{
    struct owner_text text;
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent_id},
        {"CAGED_OWNER_UID", owner_text(owner, &text)},
    };

    log_entry(LOG_NOTICE, LOG_ID_AGENT_REFUSED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u was not started: %s%s%s", agent_id, owner, problem->step,
              *problem->step && *problem->why ? ": " : "", problem->why);
}
