/* Telling whoever sits at the terminal that an agent waits for an answer. Events tell when one
 * begins to wait, and when it is answered. Once some were lost (the daemon keeps so many, of all
 * users together) they tell only that something happened, and Hosts tells what waits. */
#include "asking.h"

#include <inttypes.h>
#include <stdio.h>

#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "remote-error.h"
#include "text.h"

struct asking {
    const char *socket;
    struct connection *connection;
    struct forwarder *forwarder; /* that serves it */
    const char *agent_id;
    unsigned seconds;
    bool raw;
    bool unsure;     /* events were lost */
    json_t *waiting; /* "host:port": how many requests wait for it, so that it is told once */
};

struct asking *asking_free(struct asking *asking)
{
    if (!asking)
        return NULL;
    connection_free(asking->connection);
    json_decref(asking->waiting);
    free(asking);
    return NULL;
}

static int follow_events(struct asking *asking)
{
    struct reply reply = {};
    int r = connection_send(asking->connection, "io.caged.Events",
                            json_pack("{s:s}", "agent_id", asking->agent_id), true, NULL, 0);

    if (r == 0)
        r = connection_receive(asking->connection, &reply); /* at once: it follows from here on */
    if (r < 0)
        return connection_failed(asking->connection, r);
    int status = reply.error ? remote_error_say(&reply) : STATUS_OK;
    reply_deinit(&reply);
    return status;
}

int asking_new(const char *socket, const char *agent_id, unsigned seconds, bool raw,
               struct asking **ret)
{
    CLEANUP(asking_freep) struct asking *asking = calloc(1, sizeof(*asking));

    if (asking)
        *asking = (struct asking){.socket = socket,
                                  .agent_id = agent_id,
                                  .seconds = seconds,
                                  .raw = raw,
                                  .waiting = json_object()};
    if (!asking || !asking->waiting) {
        say("out of memory");
        return STATUS_INTERNAL;
    }
    int status = connection_open_or_say(socket, &asking->connection);
    if (status == STATUS_OK)
        status = follow_events(asking);
    if (status == STATUS_OK)
        *ret = TAKE_PTR(asking);
    return status;
}

/* -- events -- */

#define TARGET_SIZE 512

static void tell(const struct asking *asking, const char *target)
{
    char safe[512];

    text_make_safe(target, safe, sizeof(safe));
    (void)fprintf(stderr,
                  "%scagectl: agent %s asks for %s: cagectl approve %s %s / cagectl deny %s %s "
                  "(%u s)%s\n",
                  asking->raw ? "\r" : "", asking->agent_id, safe, asking->agent_id, safe,
                  asking->agent_id, safe, asking->seconds, asking->raw ? "\r" : "");
}

static void count(struct asking *asking, const char *target, bool held)
{
    json_int_t n = json_integer_value(json_object_get(asking->waiting, target));

    if (held && n == 0)
        tell(asking, target);
    n += held ? 1 : -1;
    if (n > 0)
        (void)json_object_set_new(asking->waiting, target, json_integer(n));
    else
        (void)json_object_del(asking->waiting, target);
}

/* Another user may have an agent of the same id, which root would hear of too. */
static void take_event(struct asking *asking, const json_t *event)
{
    const char *kind, *host = "", *verdict = "", *code = "";
    uint64_t owner, port = 0;
    char target[TARGET_SIZE];

    if (!json_is_object(event) || field_string(event, "kind", &kind) < 0 ||
        field_u64(event, "owner_uid", &owner) < 0 || owner != geteuid() ||
        !streq(kind, "network") || field_string_optional(event, "verdict", &verdict) < 0 ||
        field_string_optional(event, "host", &host) < 0 ||
        field_string_optional(event, "code", &code) < 0 ||
        field_u64_optional(event, "port", &port) < 0)
        return;
    if (streq(code, "too-many-held")) /* this one never waited; others for that host may */
        return;
    target_format(host, port, 1, target, sizeof(target));
    count(asking, target, streq(verdict, "held"));
}

/* -- what waits -- */

/* What is told already is not told again; what waits no more is forgotten. */
static void take_held(struct asking *asking, const json_t *held)
{
    json_t *before = TAKE_PTR(asking->waiting);
    const json_t *item;
    size_t i;

    asking->waiting = json_object();
    json_array_foreach (held, i, item) {
        const char *host;
        uint64_t port, n;
        char target[TARGET_SIZE];
        if (!json_is_object(item) || field_string(item, "host", &host) < 0 ||
            field_u64(item, "port", &port) < 0 || field_u64(item, "count", &n) < 0)
            continue;
        target_format(host, port, 1, target, sizeof(target));
        if (!json_object_get(before, target))
            tell(asking, target);
        (void)json_object_set_new(asking->waiting, target, json_integer((json_int_t)n));
    }
    json_decref(before);
}

/* What cannot be had now is told by the next event. */
static void look_again(struct asking *asking)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};

    if (connection_open(asking->socket, &connection) < 0 ||
        connection_send(connection, "io.caged.Hosts",
                        json_pack("{s:s, s:I}", "agent_id", asking->agent_id, "owner_uid",
                                  (json_int_t)geteuid()),
                        false, NULL, 0) < 0)
        return;
    if (connection_receive(connection, &reply) == 0 && !reply.error)
        take_held(asking, json_object_get(reply.parameters, "held"));
    reply_deinit(&reply);
}

static void take_reply(struct asking *asking, const struct reply *reply)
{
    const json_t *events = json_object_get(reply->parameters, "events");
    const json_t *event;
    uint64_t lost = 0;
    size_t i;

    if (field_u64_optional(reply->parameters, "lost", &lost) == 0 && lost > 0)
        asking->unsure = true;
    if (asking->unsure) {
        look_again(asking);
        return;
    }
    json_array_foreach (events, i, event)
        take_event(asking, event);
}

static void ready(void *data)
{
    struct asking *asking = data;
    struct reply reply = {};
    int r = connection_read(asking->connection);

    while (r == 0 && (r = connection_take(asking->connection, &reply)) == 1) {
        r = reply.continues ? 0 : -ECONNRESET;
        take_reply(asking, &reply);
        reply_deinit(&reply);
    }
    if (r < 0) /* the other connection will tell why, if it is not the end of the agent */
        forwarder_watch(asking->forwarder, -EBADF, NULL, NULL);
}

void asking_attach(struct asking *asking, struct forwarder *forwarder)
{
    asking->forwarder = forwarder;
    forwarder_watch(forwarder, connection_fd(asking->connection), ready, asking);
}
