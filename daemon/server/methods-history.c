/* History and Audit: past output of agents, and what their gates recorded, from the journal, for
 * who owns them. */
#include <fcntl.h>

#include "caged-limits.h"
#include "json-text.h"
#include "log.h"
#include "server/history.h"
#include "server/methods.h"

#define INVOCATION_ID_LENGTH 32

struct history_parameters {
    enum history_kind kind;
    const char *agent_id, *invocation_id, *since, *until;
    json_int_t owner, lines, output_fd;
};

static bool is_agent_id(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= CARD_AGENT_ID_MAX &&
           strspn(text, CARD_AGENT_ID_CHARACTERS) == length;
}

static bool is_invocation_id(const char *text)
{
    return strlen(text) == INVOCATION_ID_LENGTH &&
           strspn(text, "0123456789abcdef") == INVOCATION_ID_LENGTH;
}

/* The name of the first parameter that is out of bounds, or NULL. */
static const char *find_bad(const struct history_parameters *p)
{
    if (p->invocation_id && !is_invocation_id(p->invocation_id))
        return "invocation_id";
    if (p->since && !history_time_is_sane(p->since))
        return "since";
    if (p->until && !history_time_is_sane(p->until))
        return "until";
    /* Which lines --lines means beside a time differs between versions of journalctl. */
    bool bad_lines = p->lines > INT32_MAX || (p->lines >= 0 && (p->since || p->until));
    return bad_lines ? "lines" : NULL;
}

static bool reply_nothing_there(struct connection *c, const struct history_parameters *p)
{
    if (p->agent_id)
        method_reply_no_agent(c, p->agent_id);
    else
        connection_invalid(c, "owner_uid");
    return false;
}

/* Who may see an agent that the daemon knows may read of its past, and of what its owner had by
 * that id before. Of owners whose agents are not known any more there is no rule to ask: they
 * alone, and root, may read of them; the same is true of all that an owner has. */
static bool find_owner_of_agent(struct connection *c, const struct history_parameters *p,
                                int64_t *ret)
{
    struct agent *agent;
    json_t *owners;
    int r = method_look_for_agent(c, p->agent_id, p->owner, &agent, &owners);

    if (r < 0)
        method_reply_ambiguous(c, p->agent_id, owners);
    else if (r == 0 && p->owner >= 0)
        return reply_nothing_there(c, p);
    else
        *ret = r > 0 ? (int64_t)agent->owner : (int64_t)c->peer.uid;
    return r >= 0;
}

/* Whose agents a caller may read about: its own or what find_owner_of_agent() says, or for root
 * those of the one it names, or all (negative). False: an error was replied, as for an agent that
 * never was. */
static bool find_owner(struct connection *c, const struct history_parameters *p, int64_t *ret)
{
    bool own = p->owner == (json_int_t)c->peer.uid;

    if ((p->agent_id && !is_agent_id(p->agent_id)) || p->owner > (json_int_t)UINT32_MAX)
        return reply_nothing_there(c, p);
    if (c->peer.uid != 0 && p->agent_id && !own)
        return find_owner_of_agent(c, p, ret);
    if (c->peer.uid != 0 && p->owner >= 0 && !own)
        return reply_nothing_there(c, p);
    *ret = c->peer.uid == 0 ? p->owner : (int64_t)c->peer.uid;
    return true;
}

/* Root is not turned away. */
static bool has_room(struct connection *c)
{
    bool full = history_count(c->manager, NULL) >= HISTORIES_MAX;
    bool user_full = history_count(c->manager, &c->peer.uid) >= HISTORIES_PER_UID_MAX;

    if (c->peer.uid == 0 || (!full && !user_full))
        return true;
    connection_error(c, "io.caged.Busy",
                     json_pack("{s:s, s:i}", "limit",
                               user_full ? "histories that one user reads at once"
                                         : "histories that are read at once",
                               "maximum", user_full ? HISTORIES_PER_UID_MAX : HISTORIES_MAX));
    return false;
}

static bool has_journal(struct connection *c, const char *what)
{
    const char *reason = NULL;

    if (!log_has_journal())
        reason = "this host has no journal, or none when cagedd was started";
    else if (!c->manager->have_journal_group)
        reason = "this host has no group systemd-journal";
    else if (access(HISTORY_PROGRAM, X_OK) < 0)
        reason = "this host has no " HISTORY_PROGRAM;
    if (reason)
        connection_error(c, "io.caged.NotSupported",
                         json_pack("{s:s, s:s}", "what", what, "reason", reason));
    return reason == NULL;
}

/* Takes the writing end of a pipe out of the message, or returns -EBADF: of a pipe nobody can make
 * a close, or the wait for the process that writes, take long. What it is, F_GETPIPE_SZ tells
 * (fcntl(2): EBADF for all else); fstat(2) would ask the file system that a FIFO lies in, and that
 * may be a user's. */
static int take_output(struct call *call, json_int_t index)
{
    int fd = varlink_message_take_fd(call->message, index);

    if (fd < 0)
        return -EBADF;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && fcntl(fd, F_GETPIPE_SZ) > 0)
        return fd;
    closer_close(call->connection->manager->closer, call->connection->account, &fd, 1);
    return -EBADF;
}

static void on_done(void *user, int error, const char *why)
{
    struct connection *c = user;

    c->history = NULL;
    if (error == 0)
        connection_reply(c, json_object());
    else
        connection_error(c, "io.caged.HistoryFailed",
                         json_pack("{s:o}", "reason", json_string_lossy(why)));
    connection_settle(c);
}

static void start(struct call *call, const struct history_parameters *p, int64_t owner)
{
    struct connection *c = call->connection;
    const struct history_query query = {
        .kind = p->kind,
        .agent_id = p->agent_id,
        .owner = owner,
        .invocation_id = p->invocation_id,
        .since = p->since,
        .until = p->until,
        .lines = p->lines,
    };
    int output = take_output(call, p->output_fd);

    if (output < 0) {
        connection_invalid(c, "output_fd");
        return;
    }
    int r = history_start(c->manager, c->peer.uid, &query, output, on_done, c, &c->history);
    if (r < 0)
        connection_error(c, "io.caged.HistoryFailed",
                         json_pack("{s:s}", "reason", history_why_not_started(r)));
}

/* What both have in common once the parameters are read. */
static void begin(struct call *call, const struct history_parameters *p, const char *what)
{
    const char *bad = find_bad(p);
    int64_t owner;

    if (bad)
        connection_invalid(call->connection, bad);
    else if (find_owner(call->connection, p, &owner) && has_journal(call->connection, what) &&
             has_room(call->connection))
        start(call, p, owner);
}

void method_history(struct call *call)
{
    struct history_parameters p = {.kind = HISTORY_OUTPUT, .owner = -1, .lines = -1};
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, true, &p.agent_id},
        {"owner_uid", PARAMETER_INTEGER, false, &p.owner},
        {"invocation_id", PARAMETER_STRING, false, &p.invocation_id},
        {"since", PARAMETER_STRING, false, &p.since},
        {"until", PARAMETER_STRING, false, &p.until},
        {"lines", PARAMETER_INTEGER, false, &p.lines},
        {"output_fd", PARAMETER_INTEGER, true, &p.output_fd},
    };

    if (method_read(call, table, ARRAY_SIZE(table)))
        begin(call, &p, "history");
}

void method_audit(struct call *call)
{
    struct history_parameters p = {.owner = -1, .lines = -1};
    bool refused = false;
    const struct parameter table[] = {
        {"agent_id", PARAMETER_STRING, false, &p.agent_id},
        {"owner_uid", PARAMETER_INTEGER, false, &p.owner},
        {"refused", PARAMETER_BOOLEAN, false, &refused},
        {"since", PARAMETER_STRING, false, &p.since},
        {"until", PARAMETER_STRING, false, &p.until},
        {"lines", PARAMETER_INTEGER, false, &p.lines},
        {"output_fd", PARAMETER_INTEGER, true, &p.output_fd},
    };

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    p.kind = refused ? HISTORY_REFUSED : HISTORY_NETWORK;
    begin(call, &p, "audit");
}
