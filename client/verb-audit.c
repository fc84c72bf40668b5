/* cagectl audit: what gates recorded, from the journal, and what they record from now on. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "audit-record.h"
#include "exit-status.h"
#include "field.h"
#include "history.h"
#include "last-items.h"
#include "options.h"
#include "output.h"
#include "past.h"
#include "remote-error.h"
#include "sequel.h"
#include "target.h"
#include "text.h"

struct audit {
    const struct options *options;
    struct agent_name agent; /* id NULL: all agents */
    struct connection *connection;
    bool json, refused, follow;
    struct sequel sequel; /* which record of which run comes next */
    uint64_t n_shown;
    uint64_t last_usec; /* of the last that was shown, or when it began */
    bool no_past;       /* the journal cannot be read */
    bool keeping; /* only the last records of the past are shown, which the daemon cannot count */
    struct last_items kept;
};

static void audit_deinit(struct audit *a)
{
    last_items_deinit(&a->kept);
    sequel_deinit(&a->sequel);
}

/* -- one record -- */

static int print(struct audit *a, const struct audit_record *r)
{
    if (!a->json) {
        audit_record_print(r, geteuid() == 0 || r->owner_uid != geteuid());
        return STATUS_OK;
    }
    json_t *json = audit_record_to_json(r);
    if (!json)
        return -ENOMEM;
    int status = output_json_line(json);
    json_decref(json);
    return status;
}

/* Shows it, unless it was shown before: what comes from the journal may come from the daemon as
 * well. Where each record is shown, those that are missing are told. */
static int show(struct audit *a, const struct audit_record *r)
{
    enum sequel_place place = sequel_place(&a->sequel, r->invocation_id, r->record);

    if (place == SEQUEL_SEEN)
        return STATUS_OK;
    if (place == SEQUEL_GAP && !a->refused) {
        uint64_t n = r->record - sequel_next(&a->sequel, r->invocation_id);
        (void)fflush(stdout);
        say("%" PRIu64 " record%s missing here of agent '%s'", n, n == 1 ? " is" : "s are",
            r->agent_id);
    }
    int status = sequel_set(&a->sequel, r->invocation_id, r->record + 1);
    if (status < 0)
        return status;
    a->n_shown++;
    a->last_usec = MAX_OF(a->last_usec, r->time_usec);
    return print(a, r);
}

/* -- the past -- */

static void record_deinit(void *record)
{
    audit_record_deinit(record);
}

static int take_entry(void *user, const char *text, size_t size)
{
    struct audit *a = user;
    struct audit_record r;
    int status = audit_record_from_journal(text, size, &r);

    if (status < 0)
        return status;
    status = a->keeping ? last_items_keep(&a->kept, &r) : show(a, &r);
    audit_record_deinit(&r);
    return status;
}

static int show_kept(struct audit *a)
{
    int status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < a->kept.count; i++)
        status = show(a, last_items_get(&a->kept, i));
    return status;
}

/* What is wrong with the journal is told; it is not the end of one who follows. */
static int past_failed(struct audit *a, const struct history_query *query,
                       const struct reply *reply)
{
    int status = history_say_failure(query, reply, "--follow shows what comes from now on");

    a->no_past = remote_error_is(reply, "NotSupported");
    return a->no_past && a->follow ? STATUS_OK : status;
}

static int read_past(struct audit *a, const char *since, const char *until, uint64_t lines)
{
    struct history_query query = {
        .socket = a->options->socket,
        .agent = &a->agent,
        .audit = true,
        .refused = a->refused,
        .since = since,
        .until = until,
        .lines = lines,
    };
    struct history_result result;
    int status = history_read_entries(&query, take_entry, a, &result);

    if (status != 0)
        return status;
    status = show_kept(a);
    if (status == STATUS_OK)
        status = output_flush();
    if (status == STATUS_OK && result.reply.error)
        status = past_failed(a, &query, &result.reply);
    else if (status == STATUS_OK && result.n_not_understood > 0)
        say("%" PRIu64 " entries of the journal are not shown: they are not what cagedd writes",
            result.n_not_understood);
    history_result_deinit(&result);
    return status;
}

/* The last of all can be counted by the daemon, the last of a time cannot. */
static int show_before(struct audit *a)
{
    const struct options *o = a->options;
    bool bounded = o->since || o->until;
    uint64_t lines = option_given(o, OPTION_LINES) ? o->lines : AGENT_NONE;

    if (lines == 0)
        return STATUS_OK;
    if (!bounded || lines == AGENT_NONE)
        return read_past(a, o->since, o->until, lines);
    a->keeping = true;
    a->kept.max = lines;
    int status = read_past(a, o->since, o->until, AGENT_NONE);
    a->keeping = false;
    return status;
}

/* -- what comes -- */

static int begin_following(struct audit *a)
{
    json_t *parameters = a->agent.id ? json_pack("{s:s}", "agent_id", a->agent.id) : json_object();
    struct reply reply = {};
    int status = connection_send(a->connection, "io.caged.Events", parameters, true, NULL, 0);

    if (status == 0)
        status = connection_receive(a->connection, &reply);
    if (status == 0 && reply.error)
        status = remote_error_say(&reply);
    reply_deinit(&reply);
    return status;
}

static bool is_wanted(const struct audit *a, const struct audit_record *r)
{
    return (a->agent.owner_uid == AGENT_NONE || r->owner_uid == a->agent.owner_uid) &&
           (!a->refused || (r->verdict && streq(r->verdict, "refused")));
}

static int show_event(struct audit *a, json_t *event)
{
    struct audit_record r;
    const char *kind;

    if (field_string(event, "kind", &kind) < 0)
        return -EPROTO;
    if (!streq(kind, "network") && !streq(kind, "network_ended"))
        return STATUS_OK;
    int status = audit_record_from_event(event, &r);
    if (status < 0)
        return status;
    if (is_wanted(a, &r))
        status = show(a, &r);
    audit_record_deinit(&r);
    return status;
}

/* Events have left the daemon's memory before we read them: the journal has what was recorded. What
 * it has beyond that will come again by Events, and was shown then. */
static int make_up(struct audit *a, uint64_t lost)
{
    char since[32];
    uint64_t seconds = a->last_usec / 1000000;

    if (a->no_past) {
        (void)fflush(stdout);
        say("at least %" PRIu64 " event%s lost here: you read too slowly", lost,
            lost == 1 ? "" : "s");
        return STATUS_OK;
    }
    (void)snprintf(since, sizeof(since), "@%" PRIu64, seconds - MIN_OF(seconds, (uint64_t)5));
    return read_past(a, since, NULL, AGENT_NONE);
}

static int show_events(struct audit *a, const json_t *parameters)
{
    json_t *events, *event;
    int status = STATUS_OK;
    uint64_t lost;
    size_t i;

    if (field_array(parameters, "events", &events) < 0 || field_u64(parameters, "lost", &lost) < 0)
        return -EPROTO;
    if (lost > 0)
        status = make_up(a, lost);
    json_array_foreach (events, i, event) {
        if (status == STATUS_OK)
            status = show_event(a, event);
    }
    return status == STATUS_OK ? output_flush() : status;
}

static int follow(struct audit *a)
{
    for (;;) {
        struct reply reply = {};
        int status = connection_receive(a->connection, &reply);
        if (status < 0)
            return status;
        bool last = !reply.continues;
        status = reply.error ? remote_error_say(&reply) : show_events(a, reply.parameters);
        reply_deinit(&reply);
        if (last || status != STATUS_OK)
            return status;
    }
}

/* -- the verb -- */

/* Nothing was shown: is there an agent of this id, or was there one? */
static int check_agent(struct audit *a)
{
    struct follow f = {.socket = a->options->socket, .agent = a->agent};
    char run[INVOCATION_ID_LENGTH + 1];
    struct reply reply = {};
    int status = connection_send(a->connection, "io.caged.Inspect", agent_name_to_json(&a->agent),
                                 false, NULL, 0);

    if (status == 0)
        status = connection_receive(a->connection, &reply);
    if (status == 0 && remote_error_is(&reply, "NoSuchAgent")) {
        status = past_find_last_run(&f, run);
        if (status == STATUS_OK && !run[0])
            status = remote_error_say(&reply);
    }
    reply_deinit(&reply);
    return status;
}

/* Events come first: what is recorded after that will come by them, and what was before is in the
 * journal by the time that Audit answers. */
static int run(struct audit *a)
{
    int status = a->follow ? begin_following(a) : STATUS_OK;

    if (status == STATUS_OK)
        status = show_before(a);
    if (status == STATUS_OK && a->follow)
        return follow(a);
    if (status == STATUS_OK && a->n_shown == 0 && a->agent.id)
        status = check_agent(a);
    return status;
}

static int check_options(const struct options *options)
{
    const char *fault = NULL;

    if (option_given(options, OPTION_WATCH) && option_given(options, OPTION_UNTIL))
        fault = "--follow goes on into the future: it cannot be combined with --until";
    else if (option_given(options, OPTION_JSON) && option_given(options, OPTION_FORM) &&
             options->form != LINE_JSON)
        fault = "--json is --output=json: it cannot be combined with another form";
    if (!fault)
        return STATUS_OK;
    say("%s", fault);
    say_hint("try 'cagectl help audit'");
    return STATUS_USAGE;
}

/* Without an id the daemon could name a parameter alone. */
static int check_owner(const struct agent_name *agent)
{
    if (geteuid() == 0 || agent->id || agent->owner_uid == AGENT_NONE ||
        agent->owner_uid == geteuid())
        return STATUS_OK;
    say("only root may see what all agents of another user did: name one");
    return STATUS_PERMISSION;
}

int verb_audit(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    CLEANUP(audit_deinit)
    struct audit a = {
        .options = options,
        .json = option_given(options, OPTION_JSON) ||
                (option_given(options, OPTION_FORM) && options->form == LINE_JSON),
        .refused = option_given(options, OPTION_DENIED),
        .follow = option_given(options, OPTION_WATCH),
        .kept = {.item_size = sizeof(struct audit_record), .deinit = record_deinit},
    };
    const char *id = options->n_arguments > 0 ? options->arguments[0] : NULL;
    int status = check_options(options);

    if (status == STATUS_OK)
        status = target_from_options(options, id, &a.agent);
    if (status == STATUS_OK)
        status = check_owner(&a.agent);
    if (status == STATUS_OK)
        status = connection_open_or_say(options->socket, &connection);
    if (status != STATUS_OK)
        return status;
    a.connection = connection;
    a.last_usec = (uint64_t)time(NULL) * 1000000;
    status = run(&a);
    return status < 0 ? connection_failed(connection, status) : status;
}
