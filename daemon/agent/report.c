/* Log entries and events about agents. */
#include "agent/report.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/wait.h>

#include "agent/agent-json.h"
#include "agent/report-event.h"
#include "clock.h"
#include "log.h"

void report_emit(struct agent *agent, const char *kind, json_t *event)
{
    struct manager *manager = agent->manager;
    char *text = NULL;

    if (event && json_object_set_new(event, "agent_id", json_string(agent->card->agent_id)) == 0 &&
        json_object_set_new(event, "kind", json_string(kind)) == 0)
        text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!text || ring_push(manager->events, clock_usec(CLOCK_REALTIME), agent->owner, text,
                           strlen(text)) < 0)
        log_entry(agent->log, LOG_WARNING, NULL, NULL, 0, "no memory for an event of agent %s",
                  agent->card->agent_id);
    free(text);
    watch_list_wake(&manager->event_watches);
}

const char *report_number(long long value, struct report_number *buffer)
{
    (void)snprintf(buffer->text, sizeof(buffer->text), "%lld", value);
    return buffer->text;
}

const char *report_printable(const char *text, struct report_printable *buffer)
{
    size_t used = 0;

    for (const unsigned char *p = (const unsigned char *)text;
         *p && used + sizeof("\\xNN") <= sizeof(buffer->text); p++) {
        bool plain = *p >= 0x20 && *p < 0x7f;
        (void)snprintf(buffer->text + used, sizeof(buffer->text) - used, plain ? "%c" : "\\x%02x",
                       *p);
        used += plain ? 1 : 4;
    }
    buffer->text[used] = '\0';
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

/* What it left in its workspace that its owner's own tools may run. */
static void report_planted(struct agent *agent)
{
    const struct planted_list *found = &agent->scan.found;
    struct report_number count;
    struct report_printable files;
    char list[1024];

    if (found->count == 0 && !found->incomplete)
        return;
    planted_list_format(found, list, sizeof(list));
    const struct log_field fields[] = {
        {"CAGED_PLANTED", found->count > 0 ? report_printable(list, &files) : NULL},
        {"CAGED_COUNT", report_number((long long)(found->count + found->more), &count)},
        {"CAGED_DETAIL", found->incomplete},
    };
    log_entry(agent->log, LOG_WARNING, LOG_ID_AGENT_PLANTED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u changed files that its user's tools may run: %s%s%s",
              agent->card->agent_id, agent->owner, found->count > 0 ? files.text : "none found",
              found->incomplete ? "; not all was looked at: " : "",
              found->incomplete ? found->incomplete : "");
}

static void report_ended(struct agent *agent)
{
    bool failed = agent->reason == END_FAILED;
    bool exited = agent->have_status && WIFEXITED(agent->status);
    bool signaled = agent->have_status && WIFSIGNALED(agent->status);
    struct report_number status, signal;
    struct report_printable detail;
    char how[1024];
    json_t *event = json_pack("{s:s}", "reason", end_reason_to_string(agent->reason));

    describe_end(agent, how, sizeof(how));
    const struct log_field fields[] = {
        {"CAGED_REASON", end_reason_to_string(agent->reason)},
        {"CAGED_EXIT_STATUS", exited ? report_number(WEXITSTATUS(agent->status), &status) : NULL},
        {"CAGED_SIGNAL", signaled ? report_number(WTERMSIG(agent->status), &signal) : NULL},
        {"CAGED_DETAIL", failed ? report_printable(how, &detail) : NULL},
    };
    log_entry(agent->log, failed ? LOG_ERR : LOG_NOTICE,
              failed ? LOG_ID_AGENT_FAILED : LOG_ID_AGENT_ENDED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u ended: %s", agent->card->agent_id, agent->owner, how);
    if (event && exited)
        (void)json_object_set_new(event, "exit_status", json_integer(WEXITSTATUS(agent->status)));
    if (event && signaled)
        (void)json_object_set_new(event, "signal", json_integer(WTERMSIG(agent->status)));
    if (event)
        agent_put_planted(agent, event);
    report_emit(agent, "ended", event);
}

void report_state(struct agent *agent)
{
    struct report_number pid;
    const struct log_field fields[] = {
        {"OBJECT_PID", agent->agent_pid > 0 ? report_number(agent->agent_pid, &pid) : NULL},
        {"CAGED_WORKSPACE", agent->workspace.path},
        {"CAGED_REASON", end_reason_to_string(agent->requested)}, /* once it is to end */
    };

    switch (agent->state) {
    case AGENT_STARTING:
        report_emit(agent, "spawned", json_object());
        break;
    case AGENT_RUNNING:
        log_entry(agent->log, LOG_NOTICE, LOG_ID_AGENT_STARTED, fields, ARRAY_SIZE(fields),
                  "agent %s of uid %u runs in %s", agent->card->agent_id, agent->owner,
                  agent->workspace.path);
        report_emit(agent, "running", json_object());
        break;
    case AGENT_STOPPING:
        log_entry(agent->log, LOG_NOTICE, LOG_ID_AGENT_STOPPING, fields, ARRAY_SIZE(fields),
                  "agent %s of uid %u is being stopped: %s", agent->card->agent_id, agent->owner,
                  end_reason_to_string(agent->requested));
        report_emit(agent, "stopping", json_object());
        break;
    default:
        report_planted(agent);
        report_ended(agent);
        break;
    }
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
    AUTO_FREE char *denied_added = join(change->denied_added);
    AUTO_FREE char *denied_removed = join(change->denied_removed);
    size_t n_added = json_array_size(change->added), n_removed = json_array_size(change->removed);
    size_t n_private_added = json_array_size(change->private_added);
    size_t n_private_removed = json_array_size(change->private_removed);
    size_t n_denied_added = json_array_size(change->denied_added);
    size_t n_denied_removed = json_array_size(change->denied_removed);
    struct report_number by_text;
    const struct log_field fields[] = {
        {"CAGED_BY_UID", report_number(by, &by_text)},
        {"CAGED_ADDED", added},
        {"CAGED_REMOVED", removed},
        {"CAGED_PRIVATE_ADDED", private_added},
        {"CAGED_PRIVATE_REMOVED", private_removed},
        {"CAGED_DENIED_ADDED", denied_added},
        {"CAGED_DENIED_REMOVED", denied_removed},
    };

    if (n_added + n_removed + n_private_added + n_private_removed + n_denied_added +
            n_denied_removed ==
        0)
        return;
    log_entry(agent->log, LOG_NOTICE, LOG_ID_AGENT_RELOADED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u: uid %u changed its hosts: %zu added, %zu removed; private ones: "
              "%zu added, %zu removed; denied ones: %zu added, %zu removed",
              agent->card->agent_id, agent->owner, by, n_added, n_removed, n_private_added,
              n_private_removed, n_denied_added, n_denied_removed);
    report_emit(agent, "reloaded",
                json_pack("{s:I, s:O, s:O, s:O*, s:O*, s:O, s:O}", "by_uid", (json_int_t)by,
                          "added", change->added, "removed", change->removed, "private_added",
                          change->private_added, "private_removed", change->private_removed,
                          "denied_added", change->denied_added, "denied_removed",
                          change->denied_removed));
}

void report_refusal(struct manager *manager, uid_t owner, const char *agent_id,
                    const struct agent *agent, const struct agent_problem *problem)
{
    struct log_agent *log = refusal_logs_get(&manager->refusals, owner);
    const char *between = *problem->step && *problem->why ? ": " : "";
    struct report_number owner_text;
    struct report_printable detail;
    char why[1024];

    (void)snprintf(why, sizeof(why), "%s%s%s", problem->step, between, problem->why);
    const struct log_field fields[] = {
        {"CAGED_AGENT", agent_id},
        {"CAGED_OWNER_UID", log ? NULL : report_number(owner, &owner_text)}, /* its log has it */
        {"CAGED_INVOCATION_ID", agent ? agent->invocation_id : NULL},
        {"OBJECT_SYSTEMD_UNIT", agent ? agent->unit : NULL},
        {"CAGED_DETAIL", report_printable(why, &detail)},
    };

    log_entry(log, LOG_WARNING, LOG_ID_AGENT_REFUSED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u was not started: %s", agent_id ? agent_id : "(unnamed)", owner,
              why);
}
