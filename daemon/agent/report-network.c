/* Log entries and events about the network of agents.
 *
 * They are numbered, for each run of an agent from 1, and an event has the number of its entry
 * (CAGED_RECORD, `record`): who reads the journal and then goes on with events knows what it has.
 */
#include "agent/report-network.h"

#include <stdio.h>

#include "agent/report-event.h"
#include "amount.h"
#include "caged-limits.h"
#include "json-text.h"
#include "log.h"

/* How each verdict is told. */
static const struct {
    const char *name, *message_id;
    int priority;
} verdicts[] = {
    [GATE_REFUSED] = {"refused", LOG_ID_NETWORK_REFUSED, LOG_WARNING},
    [GATE_ALLOWED] = {"allowed", LOG_ID_NETWORK_ALLOWED, LOG_INFO},
    [GATE_HELD] = {"held", LOG_ID_NETWORK_HELD, LOG_NOTICE},
};
_Static_assert(ARRAY_SIZE(verdicts) == GATE_VERDICT_COUNT, "a verdict has no row");

struct times {
    char text[48];
};

/* ", 1,234 times"; nothing for once. */
static const char *times(uint64_t count, struct times *buffer)
{
    struct amount amount;

    buffer->text[0] = '\0';
    if (count > 1)
        (void)snprintf(buffer->text, sizeof(buffer->text), ", %s times",
                       amount_of_count(count, &amount));
    return buffer->text;
}

/* What decisions and ends have in common, in an entry and in an event. */
struct subject {
    uint64_t record, request, count;
    const char *method, *host, *address, *rule, *code;
    uint16_t port;
    struct report_number record_text, request_text, count_text, port_text;
};

struct target {
    char text[HELPER_MESSAGE_MAX];
};

/* "CONNECT api.example.com:443", or what is known of it. */
static const char *target(const struct subject *s, struct target *buffer)
{
    const char *between = *s->method && *s->host ? " " : "";
    const char *unknown = s->count > 1 ? "several requests" : "a request";
    bool v6 = strchr(s->host, ':') != NULL;

    if (!*s->host)
        (void)snprintf(buffer->text, sizeof(buffer->text), "%s", *s->method ? s->method : unknown);
    else
        (void)snprintf(buffer->text, sizeof(buffer->text), v6 ? "%s%s[%s]:%u" : "%s%s%s:%u",
                       s->method, between, s->host, s->port);
    return buffer->text;
}

#define N_SUBJECT_FIELDS 9

static void subject_to_fields(struct subject *s, struct log_field fields[static N_SUBJECT_FIELDS])
{
    const struct log_field all[N_SUBJECT_FIELDS] = {
        {"CAGED_RECORD", report_number((long long)s->record, &s->record_text)},
        {"CAGED_REQUEST",
         s->request ? report_number((long long)s->request, &s->request_text) : NULL},
        {"CAGED_METHOD", s->method},
        {"CAGED_HOST", s->host},
        {"CAGED_PORT", report_number(s->port, &s->port_text)},
        {"CAGED_ADDRESS", s->address},
        {"CAGED_RULE", s->rule},
        {"CAGED_CODE", s->code},
        {"CAGED_COUNT", report_number((long long)s->count, &s->count_text)},
    };

    memcpy(fields, all, sizeof(all));
}

static json_t *subject_to_json(const struct agent *agent, const struct subject *s)
{
    json_t *event = json_pack("{s:s, s:I, s:o, s:o, s:i, s:o, s:o, s:o, s:I}", "invocation_id",
                              agent->invocation_id, "record", (json_int_t)s->record, "method",
                              json_string_lossy(s->method), "host", json_string_lossy(s->host),
                              "port", (int)s->port, "address", json_string_lossy(s->address),
                              "rule", json_string_lossy(s->rule), "code",
                              json_string_lossy(s->code), "count", (json_int_t)s->count);

    if (event && s->request)
        (void)json_object_set_new(event, "request", json_integer((json_int_t)s->request));
    return event;
}

static void log_decision(struct agent *agent, const struct gate_decision *d, struct subject *s)
{
    bool allowed = d->verdict == GATE_ALLOWED, refused = d->verdict == GATE_REFUSED;
    bool by_rule = *d->rule && (allowed || streq(d->reason, "host-denied"));
    struct log_field fields[N_SUBJECT_FIELDS + 1] = {
        [N_SUBJECT_FIELDS] = {"CAGED_VERDICT", verdicts[d->verdict].name}};
    struct target where;
    struct times how_often;

    subject_to_fields(s, fields);
    log_entry(agent->log, verdicts[d->verdict].priority, verdicts[d->verdict].message_id, fields,
              ARRAY_SIZE(fields), "agent %s of uid %u: %s %s%s%s%s%s%s%s%s", agent->card->agent_id,
              agent->owner, verdicts[d->verdict].name, target(s, &where), *d->address ? " at " : "",
              d->address, by_rule ? " by rule " : "", by_rule ? d->rule : "", refused ? ": " : "",
              refused ? d->reason : "", times(d->count, &how_often));
}

/* Negative in no reply, however often a gate that was taken over counts. */
static void count_up(uint64_t *counter, uint64_t n)
{
    *counter = MIN_OF(*counter + n, (uint64_t)INT64_MAX);
}

void report_decision(struct agent *agent, const struct gate_decision *d)
{
    struct subject s = {
        .record = ++agent->records,
        .request = d->request,
        .count = d->count,
        .method = d->method,
        .host = d->host,
        .address = d->address,
        .rule = d->rule,
        .code = d->reason,
        .port = d->port,
    };

    if (d->verdict == GATE_ALLOWED)
        count_up(&agent->allowed, d->count);
    else if (d->verdict == GATE_REFUSED)
        count_up(&agent->refused, d->count);
    log_decision(agent, d, &s);
    json_t *event = subject_to_json(agent, &s);
    if (event) {
        (void)json_object_set_new(event, "allowed", json_boolean(d->verdict == GATE_ALLOWED));
        (void)json_object_set_new(event, "verdict", json_string(verdicts[d->verdict].name));
    }
    report_emit(agent, "network", event);
}

static void log_end(struct agent *agent, const struct gate_end *e, struct subject *s)
{
    struct report_number up, down, duration;
    struct amount up_text, down_text, duration_text;
    struct target what;
    struct times how_often;
    struct log_field fields[N_SUBJECT_FIELDS + 3] = {
        [N_SUBJECT_FIELDS] = {"CAGED_BYTES_UP", report_number((long long)e->bytes_up, &up)},
        {"CAGED_BYTES_DOWN", report_number((long long)e->bytes_down, &down)},
        {"CAGED_DURATION_USEC", report_number((long long)e->duration_usec, &duration)},
    };

    subject_to_fields(s, fields);
    log_entry(agent->log, LOG_INFO, LOG_ID_NETWORK_ENDED, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u: ended %s: %s, %s up, %s down, %s%s", agent->card->agent_id,
              agent->owner, target(s, &what), e->reason, amount_of_bytes(e->bytes_up, &up_text),
              amount_of_bytes(e->bytes_down, &down_text),
              amount_of_time(e->duration_usec, &duration_text), times(e->count, &how_often));
}

void report_request_end(struct agent *agent, const struct gate_end *e)
{
    struct subject s = {
        .record = ++agent->records,
        .request = e->request,
        .count = e->count,
        .method = e->method,
        .host = e->host,
        .address = e->address,
        .rule = e->rule,
        .code = e->reason,
        .port = e->port,
    };

    log_end(agent, e, &s);
    json_t *event = subject_to_json(agent, &s);
    if (event) {
        (void)json_object_set_new(event, "bytes_up", json_integer((json_int_t)e->bytes_up));
        (void)json_object_set_new(event, "bytes_down", json_integer((json_int_t)e->bytes_down));
        (void)json_object_set_new(event, "duration_usec",
                                  json_integer((json_int_t)e->duration_usec));
    }
    report_emit(agent, "network_ended", event);
}

void report_cut(struct agent *agent, uint64_t n)
{
    struct report_number count;
    const struct log_field fields[] = {{"CAGED_CUT", report_number((long long)n, &count)}};

    log_entry(agent->log, LOG_NOTICE, LOG_ID_NETWORK_CUT, fields, ARRAY_SIZE(fields),
              "agent %s of uid %u: %ju connections were cut that its new hosts do not allow",
              agent->card->agent_id, agent->owner, (uintmax_t)n);
}

void report_gate_failure(struct agent *agent, const char *why, uint64_t n_without_end)
{
    struct report_printable detail;
    struct report_number count;
    char lost[96] = "";
    bool goes_on = agent->state == AGENT_STARTING || agent->state == AGENT_RUNNING;
    const struct log_field fields[] = {
        {"CAGED_DETAIL", report_printable(why, &detail)},
        {"CAGED_WITHOUT_END",
         n_without_end > 0 ? report_number((long long)n_without_end, &count) : NULL},
    };

    if (n_without_end > 0)
        (void)snprintf(lost, sizeof(lost),
                       "; %ju requests that it allowed have no entry of their end",
                       (uintmax_t)n_without_end);
    log_entry(agent->log, LOG_ERR, LOG_ID_GATE_FAILED, fields, ARRAY_SIZE(fields),
              "the gate of agent %s of uid %u failed: %s%s%s", agent->card->agent_id, agent->owner,
              why, goes_on ? "; the next connection gets a new one" : "", lost);
}
