/* Logs, Wait, Events: what goes on for a while. Each is a pump (see connection.h). */
#include "agent/agent-json.h"
#include "caged-limits.h"
#include "policy/access.h"
#include "server/methods.h"

#define BATCH_BYTES (64 * 1024) /* of payload in one reply */
#define PRESSED_BYTES 4096      /* the same, where a user's clients read too little */
#define BATCH_ENTRIES 1024
#define SINGLE_BYTES (256 * 1024) /* in the only reply to a call without `more` */

/* Appends entries of the ring from the cursor on, up to `end`, to an array. What has left the ring
 * is counted in *lost. Returns how many entries were passed (appended or filtered out). */
static size_t take_batch(const struct ring *ring, uint64_t *cursor, uint64_t end, size_t max_bytes,
                         json_t *(*convert)(const struct connection *c, const struct ring_entry *),
                         const struct connection *c, json_t *array, json_int_t *lost)
{
    const struct ring_entry *entry;
    size_t bytes = 0, passed = 0;

    while (bytes < max_bytes && passed < (max_bytes == SIZE_MAX ? SIZE_MAX : BATCH_ENTRIES) &&
           (entry = ring_get(ring, *cursor)) && entry->sequence < end) {
        json_t *json = convert(c, entry);
        *lost += (json_int_t)(entry->sequence - *cursor);
        if (json)
            (void)json_array_append_new(array, json);
        bytes += entry->size;
        *cursor = entry->sequence + 1;
        passed++;
    }
    /* What has left the ring although it is before `end` will not come any more. */
    entry = ring_get(ring, *cursor);
    uint64_t next = MIN_OF(end, entry ? entry->sequence : ring_end(ring));
    if (*cursor < next) {
        *lost += (json_int_t)(next - *cursor);
        *cursor = next;
    }
    return passed;
}

static size_t batch_bytes(const struct connection *c)
{
    return connection_is_pressed(c) ? PRESSED_BYTES : BATCH_BYTES;
}

/* A policy that came into force meanwhile may have taken the agent out of the caller's sight. */
static bool lost_sight(struct connection *c)
{
    if (access_has(&c->peer, c->agent, POLICY_SEE))
        return false;
    method_reply_no_agent(c, c->agent->card->agent_id);
    return true;
}

/* -- Logs -- */

static json_t *convert_line(const struct connection *c, const struct ring_entry *entry)
{
    return agent_line_to_json(entry);
}

/* What comes next is told so that a client knows exactly which lines it has not got: it can ask the
 * journal for them. */
static json_t *lines_reply(const struct connection *c, json_t *lines, json_int_t lost)
{
    return lines ? json_pack("{s:s, s:o, s:I, s:I}", "invocation_id", c->agent->invocation_id,
                             "lines", lines, "lost", lost, "next_sequence", (json_int_t)c->cursor)
                 : NULL;
}

/* Whether the cursor is where this call ends: at the last line of an agent that writes no more, or
 * at the last that was there when the call came. */
static bool logs_done(const struct connection *c)
{
    const struct agent *agent = c->agent;

    if (c->cursor < MIN_OF(c->end, ring_end(agent->ring)))
        return false;
    return !c->follow || agent->state == AGENT_ENDED;
}

static void pump_logs(struct connection *c)
{
    struct agent *agent = c->agent;

    if (!connection_has_room(c) || lost_sight(c))
        return;
    if (!c->more && connection_is_pressed(c)) { /* since the call came */
        connection_busy(c, client_load_find_pressure(&c->load));
        return;
    }
    json_t *lines = json_array();
    json_int_t lost = c->lost;
    size_t n = take_batch(agent->ring, &c->cursor, c->end, c->more ? batch_bytes(c) : SIZE_MAX,
                          convert_line, c, lines, &lost);

    c->lost = 0;
    if (agent == c->foreground && n > 0)
        agent_hold_output(agent, c->cursor);
    if (logs_done(c)) {
        connection_reply(c, lines_reply(c, lines, lost));
    } else if (n == 0) {
        c->lost = lost;
        json_decref(lines);
    } else {
        connection_continue(c, lines_reply(c, lines, lost));
        connection_wake(c);
    }
}

/* Where to begin: at the first line ever, or at the first of the last `lines`; what of this has
 * left the ring is counted as lost. A reply without `more` has what fits into SINGLE_BYTES. */
static uint64_t logs_start(const struct ring *ring, json_int_t lines, bool more,
                           json_int_t *ret_lost)
{
    uint64_t end = ring_end(ring), first = ring_first(ring), start = 1;
    size_t bytes = 0;

    if (lines >= 0)
        start = end - MIN_OF((uint64_t)lines, end - 1);
    *ret_lost = 0;
    if (more)
        return start;
    uint64_t fitting = end;
    while (fitting > MAX_OF(start, first)) {
        const struct ring_entry *entry = ring_get(ring, fitting - 1);
        bytes += entry && entry->sequence == fitting - 1 ? entry->size : 0;
        if (bytes > SINGLE_BYTES)
            break;
        fitting--;
    }
    *ret_lost = (json_int_t)(fitting - start);
    return fitting;
}

void method_logs(struct call *call)
{
    struct connection *c = call->connection;
    json_int_t owner = -1, lines = -1;
    bool follow = false;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
        {"follow", PARAMETER_BOOLEAN, false, &follow},
        {"lines", PARAMETER_INTEGER, false, &lines},
    };
    struct agent *agent;

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    if (follow && !c->more) {
        connection_error(c, "org.varlink.service.ExpectedMore", json_object());
        return;
    }
    agent = method_find_agent(c, id, owner, POLICY_SEE);
    if (!agent)
        return;
    c->agent = agent;
    c->follow = follow;
    c->end = follow ? UINT64_MAX : ring_end(agent->ring);
    c->cursor = logs_start(agent->ring, lines, c->more, &c->lost);
    /* At once, so that the client knows from where on nothing is missed. */
    if (follow)
        connection_continue(c, lines_reply(c, json_array(), 0));
    connection_set_pump(c, pump_logs, &agent->watches);
}

/* -- Wait -- */

static void pump_wait(struct connection *c)
{
    enum agent_state state = c->agent->state;

    if (lost_sight(c))
        return;
    if (state == AGENT_ENDED) {
        connection_reply(c, json_pack("{s:o}", "agent", agent_to_json(c->agent)));
    } else if (c->more && state != c->told) {
        c->told = state;
        connection_continue(c, json_pack("{s:o}", "agent", agent_to_json(c->agent)));
    }
}

void method_wait(struct call *call)
{
    struct connection *c = call->connection;
    json_int_t owner = -1;
    const char *id;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &id},
        {"owner_uid", PARAMETER_INTEGER, false, &owner},
    };
    struct agent *agent;

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    agent = method_find_agent(c, id, owner, POLICY_SEE);
    if (!agent)
        return;
    if (c->more && agent->state != AGENT_ENDED)
        connection_continue(c, json_pack("{s:o}", "agent", agent_to_json(agent)));
    c->told = agent->state;
    c->agent = agent;
    connection_set_pump(c, pump_wait, &agent->watches);
}

/* -- Events -- */

/* Whether an event is this client's to see: its agent's owner's, root's, and theirs who may see
 * that agent now. Of an agent that is not known any more, nobody else can tell. */
static bool shows_event(const struct connection *c, uid_t owner, const char *agent_id)
{
    const struct agent *agent;

    if (c->filter && !streq_null(agent_id, c->filter))
        return false;
    if (c->peer.uid == 0 || owner == c->peer.uid)
        return true;
    agent = agent_id ? manager_find(c->manager, owner, agent_id) : NULL;
    return agent && access_has(&c->peer, agent, POLICY_SEE);
}

/* An event, with what the ring knows of it, if it is this client's to see; NULL if not. */
static json_t *convert_event(const struct connection *c, const struct ring_entry *entry)
{
    json_t *event;

    if (!c->sees_others && entry->tag != c->peer.uid)
        return NULL;
    event = json_loadb((const char *)entry->data, entry->size, 0, NULL);
    if (!event)
        return NULL;
    if (!shows_event(c, (uid_t)entry->tag, json_string_value(json_object_get(event, "agent_id")))) {
        json_decref(event);
        return NULL;
    }
    (void)json_object_set_new(event, "time_usec", json_integer((json_int_t)entry->time_usec));
    (void)json_object_set_new(event, "owner_uid", json_integer((json_int_t)entry->tag));
    return event;
}

/* The ring has the events of all users. Its numbers, and how many have left it unread, would tell
 * each of them what the others do. */
static json_t *events_reply(struct connection *c, json_t *events, json_int_t lost)
{
    json_t *event;
    size_t i;

    json_array_foreach (events, i, event)
        (void)json_object_set_new(event, "sequence", json_integer((json_int_t)++c->n_events));
    if (lost > 0 && c->peer.uid != 0)
        lost = 1;
    return events ? json_pack("{s:o, s:I}", "events", events, "lost", lost) : NULL;
}

static void pump_events(struct connection *c)
{
    if (!connection_has_room(c))
        return;
    json_t *events = json_array();
    json_int_t lost = 0;
    c->sees_others = access_may_see_others(c->manager, &c->peer);
    size_t n = take_batch(c->manager->events, &c->cursor, UINT64_MAX, batch_bytes(c), convert_event,
                          c, events, &lost);

    if (c->draining && n == 0) {
        connection_reply(c, events_reply(c, events, lost));
        return;
    }
    if (json_array_size(events) > 0 || lost > 0)
        connection_continue(c, events_reply(c, events, lost));
    else
        json_decref(events);
    if (n > 0)
        connection_wake(c);
}

void method_events(struct call *call)
{
    struct connection *c = call->connection;
    const char *id = NULL;
    const struct parameter table[] = {{"agent_id", PARAMETER_STRING, false, &id}};

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    if (!c->more) {
        connection_error(c, "org.varlink.service.ExpectedMore", json_object());
        return;
    }
    if (id && !(c->filter = strdup(id))) {
        connection_reply(c, NULL);
        return;
    }
    c->endless = true;
    c->n_events = 0;
    c->cursor = ring_end(c->manager->events);
    /* At once, so that the client knows from when on nothing is missed. */
    connection_continue(c, events_reply(c, json_array(), 0));
    connection_set_pump(c, pump_events, &c->manager->event_watches);
}
