/* What a gate recorded, from the daemon or from the journal. */
#include "audit-record.h"

#include <stdio.h>

#include "agent-line.h"
#include "amount.h"
#include "field.h"
#include "owner.h"
#include "text.h"
#include "util.h"

void audit_record_deinit(struct audit_record *r)
{
    json_decref(r->json);
    *r = (struct audit_record){};
}

/* Takes the reference that r->json is, or returns -EPROTO. */
static int finish(struct audit_record *r, bool sound, struct audit_record *ret)
{
    static const char *const verdicts[] = {"allowed", "refused", "held"};
    bool known = r->verdict == NULL;

    for (size_t i = 0; sound && r->verdict && i < ARRAY_SIZE(verdicts); i++)
        known = known || streq(r->verdict, verdicts[i]);
    if (!sound || !known || !invocation_id_is_sane(r->invocation_id) || r->record == 0 ||
        r->port > UINT16_MAX || r->count == 0) {
        audit_record_deinit(r);
        return -EPROTO;
    }
    *ret = *r;
    return 0;
}

int audit_record_from_event(json_t *event, struct audit_record *ret)
{
    struct audit_record r = {.json = json_incref(event)};
    const char *kind;

    bool sound =
        json_is_object(event) && field_string(event, "kind", &kind) == 0 &&
        field_string(event, "agent_id", &r.agent_id) == 0 &&
        field_string(event, "invocation_id", &r.invocation_id) == 0 &&
        field_u64(event, "owner_uid", &r.owner_uid) == 0 &&
        field_u64(event, "time_usec", &r.time_usec) == 0 &&
        field_u64(event, "record", &r.record) == 0 &&
        field_u64_optional(event, "request", &r.request) == 0 &&
        field_string(event, "method", &r.method) == 0 &&
        field_string(event, "host", &r.host) == 0 && field_u64(event, "port", &r.port) == 0 &&
        field_string(event, "address", &r.address) == 0 &&
        field_string(event, "rule", &r.rule) == 0 && field_string(event, "code", &r.code) == 0 &&
        field_u64(event, "count", &r.count) == 0;
    if (sound && streq(kind, "network"))
        sound = field_string(event, "verdict", &r.verdict) == 0;
    else if (sound)
        sound = streq(kind, "network_ended") && field_u64(event, "bytes_up", &r.bytes_up) == 0 &&
                field_u64(event, "bytes_down", &r.bytes_down) == 0 &&
                field_u64(event, "duration_usec", &r.duration_usec) == 0;
    return finish(&r, sound, ret);
}

int audit_record_from_journal(const char *text, size_t size, struct audit_record *ret)
{
    json_error_t error;
    json_t *entry = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    struct audit_record r = {.json = entry};

    if (!entry)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EPROTO;
    bool sound = json_is_object(entry) && field_string(entry, "CAGED_AGENT", &r.agent_id) == 0 &&
                 field_string(entry, "CAGED_INVOCATION_ID", &r.invocation_id) == 0 &&
                 field_decimal(entry, "CAGED_OWNER_UID", &r.owner_uid) == 0 &&
                 field_decimal(entry, "CAGED_TIME_USEC", &r.time_usec) == 0 &&
                 field_decimal(entry, "CAGED_RECORD", &r.record) == 0 &&
                 field_string_optional(entry, "CAGED_VERDICT", &r.verdict) == 0 &&
                 field_string(entry, "CAGED_METHOD", &r.method) == 0 &&
                 field_string(entry, "CAGED_HOST", &r.host) == 0 &&
                 field_decimal(entry, "CAGED_PORT", &r.port) == 0 &&
                 field_string(entry, "CAGED_ADDRESS", &r.address) == 0 &&
                 field_string(entry, "CAGED_RULE", &r.rule) == 0 &&
                 field_string(entry, "CAGED_CODE", &r.code) == 0 &&
                 field_decimal(entry, "CAGED_COUNT", &r.count) == 0;
    if (sound && json_object_get(entry, "CAGED_REQUEST"))
        sound = field_decimal(entry, "CAGED_REQUEST", &r.request) == 0;
    if (sound && !r.verdict)
        sound = field_decimal(entry, "CAGED_BYTES_UP", &r.bytes_up) == 0 &&
                field_decimal(entry, "CAGED_BYTES_DOWN", &r.bytes_down) == 0 &&
                field_decimal(entry, "CAGED_DURATION_USEC", &r.duration_usec) == 0;
    return finish(&r, sound, ret);
}

/* -- out -- */

static int add_number(json_t *json, const char *key, uint64_t value)
{
    return json_object_set_new(json, key, json_integer((json_int_t)value));
}

json_t *audit_record_to_json(const struct audit_record *r)
{
    json_t *json =
        json_pack("{s:I, s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:I}", "time_usec",
                  (json_int_t)r->time_usec, "agent_id", r->agent_id, "owner_uid",
                  (json_int_t)r->owner_uid, "invocation_id", r->invocation_id, "kind",
                  r->verdict ? "network" : "network_ended", "record", (json_int_t)r->record,
                  "method", r->method, "host", r->host, "port", (json_int_t)r->port, "address",
                  r->address, "rule", r->rule, "code", r->code, "count", (json_int_t)r->count);
    bool bad = !json;

    if (!bad && r->request > 0)
        bad = add_number(json, "request", r->request) < 0;
    if (!bad && r->verdict)
        bad = json_object_set_new(json, "verdict", json_string(r->verdict)) < 0 ||
              json_object_set_new(json, "allowed", json_boolean(streq(r->verdict, "allowed"))) < 0;
    else if (!bad)
        bad = add_number(json, "bytes_up", r->bytes_up) < 0 ||
              add_number(json, "bytes_down", r->bytes_down) < 0 ||
              add_number(json, "duration_usec", r->duration_usec) < 0;
    if (!bad)
        return json;
    json_decref(json);
    return NULL;
}

#define COLUMN_MAX 512
#define YEAR 5 /* "2030-" */

/* The text and what fills its column, which is at least one space. */
static void print_column(const char *text, int width)
{
    char safe[COLUMN_MAX];

    text_make_safe(text, safe, sizeof(safe));
    (void)printf("%-*s ", width, safe);
}

static void print_target(const struct audit_record *r)
{
    char target[COLUMN_MAX];

    target_format(r->host, r->port, r->count, target, sizeof(target));
    text_print(stdout, target);
}

/* " 1.2.3.4 by *.example.com", " host-not-allowed", " closed 12 kB up 3.0 MB down 4.2 s". */
static void print_detail(const struct audit_record *r)
{
    struct amount up, down, time;
    bool allowed = r->verdict && streq(r->verdict, "allowed");

    if (r->verdict && *r->address && !streq(r->address, r->host)) {
        (void)putchar(' ');
        text_print(stdout, r->address);
    }
    if (r->verdict && streq(r->verdict, "held")) /* its code says the same */
        return;
    (void)printf("%s", allowed ? " by " : " ");
    text_print(stdout, allowed ? (*r->rule ? r->rule : "several rules") : r->code);
    if (r->verdict && streq(r->code, "host-denied") && *r->rule) {
        (void)printf(" by ");
        text_print(stdout, r->rule);
    }
    if (!r->verdict)
        (void)printf(" %s up %s down %s", amount_of_bytes(r->bytes_up, &up),
                     amount_of_bytes(r->bytes_down, &down),
                     amount_of_time(r->duration_usec, &time));
}

void audit_record_print(const struct audit_record *r, bool with_owner)
{
    char when[64], owner[64];
    struct amount count;

    time_format(r->time_usec, when, sizeof(when)); /* without the year: lines are to fit */
    (void)printf("%.14s ", strlen(when) >= YEAR + 14 ? when + YEAR : when);
    if (with_owner) {
        owner_format(r->owner_uid, owner, sizeof(owner));
        print_column(owner, 8);
    }
    print_column(r->agent_id, 12);
    print_column(r->verdict ? r->verdict : "ended", 7);
    print_column(*r->method ? r->method : "-", 7);
    print_target(r);
    print_detail(r);
    if (r->count > 1)
        (void)printf(" (%s times)", amount_of_count(r->count, &count));
    (void)putchar('\n');
}
