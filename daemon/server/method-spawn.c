/* Spawn: from the parameters and descriptors of a call to a request, and its answer. */
#include <fcntl.h>
#include <stdio.h>

#include "agent/agent-json.h"
#include "agent/report.h"
#include "caged-limits.h"
#include "log.h"
#include "paths/secret-file.h"
#include "policy/spawn-policy.h"
#include "server/methods.h"
#include "server/spawn-mounts.h"

struct spawn_parameters {
    json_t *card;
    json_t *arguments;
    json_t *mount_fds;
    json_int_t workspace_fd, api_key_fd, proxy_auth_fd, user_uid, user_gid;
    bool foreground, terminal, unit;
    json_int_t rows, columns;
    json_int_t ask_seconds;
};

/* -- answers -- */

static json_t *busy_to_json(const struct agent_problem *problem)
{
    json_t *json = json_pack("{s:o, s:i}", "limit", json_string_lossy(problem->step), "maximum",
                             problem->error);

    if (json && problem->retry_seconds > 0)
        (void)json_object_set_new(json, "retry_seconds",
                                  json_integer((json_int_t)problem->retry_seconds));
    return json;
}

void method_reply_problem(struct connection *c, const struct agent_problem *problem)
{
    json_t *step = json_string_lossy(problem->step), *why = json_string_lossy(problem->why);

    switch (problem->failure) {
    case FAILURE_CARD:
        connection_error(c, "io.caged.InvalidCard",
                         json_pack("{s:O, s:o, s:O}", "path", step, "found",
                                   json_string_lossy(problem->found), "expected", why));
        break;
    case FAILURE_EXISTS:
        connection_error(c, "io.caged.AgentExists", json_pack("{s:O}", "agent_id", step));
        break;
    case FAILURE_BUSY:
        connection_error(c, "io.caged.Busy", busy_to_json(problem));
        break;
    case FAILURE_SUPPORT:
        connection_error(c, "io.caged.NotSupported",
                         json_pack("{s:O, s:O}", "what", step, "reason", why));
        break;
    case FAILURE_PERMITTED:
        connection_error(c, "io.caged.NotPermitted",
                         json_pack("{s:O, s:O}", "what", step, "reason", why));
        break;
    default:
        connection_error(
            c, "io.caged.SpawnFailed",
            json_pack("{s:O, s:i, s:O}", "step", step, "errno", problem->error, "reason", why));
        break;
    }
    json_decref(step);
    json_decref(why);
}

/* Called when the agent's state changes: answers once it runs, or never will. */
static void pump_spawn(struct connection *c)
{
    struct agent *agent = c->agent;

    if (!agent->started && agent->state != AGENT_ENDED)
        return;
    if (!agent->started) {
        struct agent_problem problem = agent->problem;
        if (problem.failure == FAILURE_NONE)
            (void)agent_problem_set(&problem, FAILURE_SPAWN, -ECANCELED, "start",
                                    "it was stopped before it ran");
        connection_set_foreground(c, NULL);
        method_reply_problem(c, &problem);
        return;
    }
    json_t *reply = json_pack("{s:o}", "agent", agent_to_json(agent));
    if (agent->terminal_master < 0) {
        connection_reply(c, reply);
        return;
    }
    if (reply)
        (void)json_object_set_new(reply, "terminal_fd", json_integer(0));
    int master = TAKE_FD(agent->terminal_master);
    connection_reply_fd(c, reply, master);
    fd_close(master);
}

/* -- the request -- */

/* Varlink clients may spell a member that is left out as null. */
static void drop_nulls(json_t *object)
{
    const char *key;
    json_t *value, *item;
    void *next;
    size_t i;

    json_object_foreach_safe (object, next, key, value) {
        if (json_is_null(value))
            (void)json_object_del(object, key);
        else if (json_is_object(value))
            drop_nulls(value);
        else if (json_is_array(value))
            json_array_foreach (value, i, item)
                if (json_is_object(item))
                    drop_nulls(item);
    }
}

int method_take_card(json_t *json, struct card **ret, struct agent_problem *problem)
{
    struct card_error error;
    int r;

    drop_nulls(json);
    r = card_parse(json, ret, &error);
    if (r == -EINVAL) {
        (void)agent_problem_set(problem, FAILURE_CARD, r, error.path, "%s", error.expected);
        (void)snprintf(problem->found, sizeof(problem->found), "%s", error.found);
    }
    return r;
}

int method_get_descriptor(struct call *call, json_int_t index, const char *path, int flags,
                          const char *what, int *ret, int *ret_opened,
                          struct agent_problem *problem)
{
    int fd;

    if (index >= 0) {
        fd = varlink_message_borrow_fd(call->message, index);
        if (fd < 0)
            return agent_problem_set(problem, FAILURE_PERMITTED, fd, what,
                                     "no descriptor of that index was sent with the message");
    } else if (call->connection->peer.uid != 0) {
        return agent_problem_set(
            problem, FAILURE_PERMITTED, -EPERM, what,
            "the path must come with a descriptor, which proves that you can open it");
    } else {
        fd = workspace_open_for_root(path, flags);
        if (fd < 0)
            return agent_problem_set(problem, FAILURE_PERMITTED, fd, what, "%s", strerror(-fd));
        *ret_opened = fd;
    }
    *ret = fd;
    return 0;
}

static int refuse_user(struct agent_problem *problem, const char *found, const char *expected)
{
    (void)agent_problem_set(problem, FAILURE_CARD, -EINVAL, "$.user", "%s", expected);
    (void)snprintf(problem->found, sizeof(problem->found), "%s", found);
    return -EINVAL;
}

static bool is_id_of_a_user(json_int_t id)
{
    return id >= 1 && id < (json_int_t)UINT32_MAX; /* (uid_t)-1 is nobody */
}

/* The card's user by the numbers that came along: the client looks them up, since that may ask a
 * server (nss(5)), for which our event loop must not wait. They are root's word, who could name any
 * other user as well. 1 with *ret, 0 if the card has none, or -EINVAL. */
static int take_user(const struct call *call, const struct spawn_parameters *p,
                     const struct card *card, struct workspace_user *ret,
                     struct agent_problem *problem)
{
    if (!card->user && (p->user_uid >= 0 || p->user_gid >= 0))
        return refuse_user(problem, "nothing", "a user, since user_uid or user_gid was sent");
    if (!card->user)
        return 0;
    if (call->connection->peer.uid != 0)
        return refuse_user(problem, "a user",
                           "no user: only in root's cards; your agent's files are yours");
    if (p->user_uid < 0 || p->user_gid < 0)
        return refuse_user(problem, "a user without the numbers that belong to it",
                           "user_uid and user_gid sent along with the card");
    if (!is_id_of_a_user(p->user_uid) || !is_id_of_a_user(p->user_gid))
        return refuse_user(problem, is_id_of_a_user(p->user_uid) ? "a user of group root" : "root",
                           "a user other than root, whose group is not root's");
    *ret = (struct workspace_user){(uid_t)p->user_uid, (gid_t)p->user_gid};
    return 1;
}

/* The workspace, and what else the card mounts. */
static int take_folders(struct call *call, const struct spawn_parameters *p,
                        const struct card *card, const struct policy_rule *rule,
                        struct workspace *ret, struct workspace **ret_mounts,
                        struct agent_problem *problem)
{
    AUTO_FD int opened = -EBADF;
    AUTO_FREE char *why = NULL;
    struct workspace_user user;
    int fd;
    int has_user = take_user(call, p, card, &user, problem);

    if (has_user < 0)
        return has_user;
    int r = method_get_descriptor(call, p->workspace_fd, card->workspace, O_RDONLY | O_DIRECTORY,
                                  "workspace", &fd, &opened, problem);
    if (r < 0)
        return r;
    const struct workspace_request request = {
        .peer = &call->connection->peer,
        .user = has_user ? &user : NULL,
        .rule = {.policy = rule,
                 .roots = &rule->workspace_roots,
                 .roots_name = "workspace_roots",
                 .own = &call->connection->manager->own},
    };
    r = workspace_take(fd, &request, ret, &why);
    if (why)
        (void)agent_problem_set(problem, FAILURE_PERMITTED, r, "workspace", "%s", why);
    if (r < 0)
        return r;
    return spawn_mounts_take(call, p->mount_fds, card, ret, &request, ret_mounts, problem);
}

/* A file of the card's with a secret in it. Without it in the card, nothing is read. */
static int take_secret(struct call *call, json_int_t index, const char *key, const char *path,
                       int (*read)(int fd, char **ret, char **ret_why), char **ret,
                       struct agent_problem *problem)
{
    AUTO_FD int opened = -EBADF;
    AUTO_FREE char *why = NULL;
    char where[64];
    int fd, r;

    if (!path && index < 0)
        return 0;
    if (!path) {
        (void)snprintf(where, sizeof(where), "$.%s", key);
        return agent_problem_set(problem, FAILURE_CARD, -EINVAL, where,
                                 "a path, since a descriptor for it was sent");
    }
    r = method_get_descriptor(call, index, path, O_RDONLY, key, &fd, &opened, problem);
    if (r < 0)
        return r;
    r = read(fd, ret, &why);
    if (why)
        (void)agent_problem_set(problem, FAILURE_PERMITTED, r, key, "%s", why);
    return r;
}

static int take_unit(const struct connection *c, struct peer_unit *ret,
                     struct agent_problem *problem)
{
    AUTO_FREE char *why = NULL;
    int r = peer_unit_find(varlink_stream_fd(c->stream), &c->peer, &c->manager->cgroups, ret, &why);

    if (why)
        (void)agent_problem_set(problem, r == -ENOTSUP ? FAILURE_SUPPORT : FAILURE_PERMITTED, r,
                                "unit", "%s", why);
    return r;
}

static int spawn(struct call *call, const struct spawn_parameters *p, struct agent **ret,
                 struct agent_problem *problem)
{
    CLEANUP(card_freep) struct card *card = NULL;
    CLEANUP(workspace_deinit) struct workspace workspace = WORKSPACE_INIT;
    struct workspace *mounts = NULL;
    size_t n_mounts = 0;
    CLEANUP(secret_freep) char *key = NULL;
    CLEANUP(peer_unit_deinit) struct peer_unit unit = PEER_UNIT_INIT;
    struct string_list arguments = {};
    const struct policy_rule *rule = NULL;
    int r = spawn_policy_admit(call->connection->manager, &call->connection->peer, &rule, problem);

    if (r >= 0)
        r = method_take_card(p->card, &card, problem);
    if (r >= 0)
        r = spawn_policy_hold(call->connection->manager, rule, card, problem);
    if (r >= 0)
        r = take_folders(call, p, card, rule, &workspace, &mounts, problem);
    if (r >= 0)
        r = take_secret(call, p->api_key_fd, "api_key_file", card->api_key_file, api_key_read, &key,
                        problem);
    if (r >= 0)
        r = take_secret(call, p->proxy_auth_fd, "proxy_auth_file", card->proxy_auth_file,
                        proxy_auth_read, &card->proxy_auth, problem);
    if (r >= 0 && p->unit)
        r = take_unit(call->connection, &unit, problem);
    if (r >= 0)
        r = json_array_size(p->arguments) > CARD_COMMAND_MAX
                ? -E2BIG
                : parameters_borrow_strings(p->arguments, &arguments);
    if (r < 0) {
        if (problem->failure == FAILURE_NONE)
            (void)agent_problem_set(problem, FAILURE_SPAWN, r, "request", "%s", strerror(-r));
        report_refusal(call->connection->manager, call->connection->peer.uid,
                       card ? card->agent_id : NULL, NULL, problem);
        workspaces_free(mounts, card ? card->n_mounts : 0);
        free(arguments.items);
        return r;
    }
    n_mounts = card->n_mounts;
    struct agent_request request = {
        .card = card,
        .arguments = arguments,
        .peer = &call->connection->peer,
        .rule = rule,
        .workspace = &workspace,
        .mounts = &mounts,
        .api_key = key,
        .terminal = p->terminal,
        .terminal_rows = (uint16_t)p->rows,
        .terminal_columns = (uint16_t)p->columns,
        .foreground = p->foreground,
        .ask_seconds = p->ask_seconds > 0 ? (uint32_t)p->ask_seconds : 0,
        .unit = p->unit ? &unit : NULL,
    };
    r = agent_spawn(call->connection->manager, &request, ret, problem);
    card = request.card;               /* NULL where the agent has taken it */
    workspaces_free(mounts, n_mounts); /* likewise */
    free(arguments.items);
    return r;
}

void method_spawn(struct call *call)
{
    struct connection *c = call->connection;
    struct spawn_parameters p = {.workspace_fd = -1,
                                 .api_key_fd = -1,
                                 .proxy_auth_fd = -1,
                                 .user_uid = -1,
                                 .user_gid = -1,
                                 .ask_seconds = -1};
    const struct parameter table[] = {
        {"card", PARAMETER_OBJECT, true, &p.card},
        {"arguments", PARAMETER_STRINGS, false, &p.arguments},
        {"workspace_fd", PARAMETER_INTEGER, false, &p.workspace_fd},
        {"api_key_fd", PARAMETER_INTEGER, false, &p.api_key_fd},
        {"proxy_auth_fd", PARAMETER_INTEGER, false, &p.proxy_auth_fd},
        {"mount_fds", PARAMETER_INTEGERS, false, &p.mount_fds},
        {"user_uid", PARAMETER_INTEGER, false, &p.user_uid},
        {"user_gid", PARAMETER_INTEGER, false, &p.user_gid},
        {"foreground", PARAMETER_BOOLEAN, false, &p.foreground},
        {"unit", PARAMETER_BOOLEAN, false, &p.unit},
        {"terminal", PARAMETER_BOOLEAN, false, &p.terminal},
        {"terminal_rows", PARAMETER_INTEGER, false, &p.rows},
        {"terminal_columns", PARAMETER_INTEGER, false, &p.columns},
        {"ask_seconds", PARAMETER_INTEGER, false, &p.ask_seconds},
    };
    struct agent_problem problem = {};
    struct agent *agent = NULL;

    if (!method_read(call, table, ARRAY_SIZE(table)))
        return;
    if (p.rows > UINT16_MAX || p.columns > UINT16_MAX) {
        connection_invalid(c, p.rows > UINT16_MAX ? "terminal_rows" : "terminal_columns");
        return;
    }
    if (p.ask_seconds == 0 || p.ask_seconds > GATE_ASK_MAX) {
        connection_invalid(c, "ask_seconds");
        return;
    }
    if (p.foreground && c->foreground && c->foreground->state != AGENT_ENDED) {
        connection_error(
            c, "io.caged.Busy",
            json_pack("{s:s, s:i}", "limit", "foreground agents of a connection", "maximum", 1));
        return;
    }
    if (spawn(call, &p, &agent, &problem) < 0) {
        method_reply_problem(c, &problem);
        return;
    }
    c->agent = agent;
    if (p.foreground)
        connection_set_foreground(c, agent);
    connection_set_pump(c, pump_spawn, &agent->watches);
}
