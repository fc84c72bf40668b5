/* The site policy that is in force. */
#include "policy-remote.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "output.h"
#include "remote-error.h"
#include "text.h"

/* -- reload -- */

static int read_text(const json_t *fault, const char *key, char *buffer, size_t size)
{
    const char *text;
    int r = field_string(fault, key, &text);

    if (r < 0)
        return r;
    int n = snprintf(buffer, size, "%s", text);
    return n < 0 || (size_t)n >= size ? -EPROTO : 0;
}

static int read_number(const json_t *fault, const char *key, int *ret)
{
    uint64_t number = 0;
    int r = field_u64_optional(fault, key, &number);

    if (r < 0 || number > INT_MAX)
        return -EPROTO;
    *ret = (int)number;
    return 0;
}

/* What the daemon found wrong with its policy; -EPROTO if the error does not hold that. */
static int say_fault(const json_t *fault)
{
    struct policy_error error = {};
    const char *file;

    if (field_string(fault, "file", &file) < 0 ||
        read_text(fault, "path", error.at.path, sizeof(error.at.path)) < 0 ||
        read_text(fault, "found", error.at.found, sizeof(error.at.found)) < 0 ||
        read_text(fault, "expected", error.at.expected, sizeof(error.at.expected)) < 0 ||
        read_number(fault, "line", &error.line) < 0 ||
        read_number(fault, "column", &error.column) < 0)
        return -EPROTO;
    policy_error_say(file, &error);
    say_hint("what was in force before is so still; to try a file first: cagectl policy check %s",
             file);
    return STATUS_CARD;
}

static int print_reloaded(const struct options *options, const json_t *parameters)
{
    const char *path;
    uint64_t rules;

    if (field_string(parameters, "path", &path) < 0 || field_u64(parameters, "rules", &rules) < 0)
        return -EPROTO;
    if (option_given(options, OPTION_JSON))
        return output_json_line(parameters);
    if (option_given(options, OPTION_QUIET))
        return STATUS_OK;
    text_print(stdout, path);
    (void)printf(": in force, with %" PRIu64 " rule%s\n", rules, rules == 1 ? "" : "s");
    return output_flush();
}

int policy_remote_reload(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    int status = connection_open_or_say(options->socket, &connection);

    if (status != STATUS_OK)
        return status;
    int r = connection_send(connection, "io.caged.ReloadPolicy", json_object(), false, NULL, 0);
    if (r == 0)
        r = connection_receive(connection, &reply);
    if (r < 0)
        return connection_failed(connection, r);
    if (remote_error_is(&reply, "InvalidPolicy"))
        r = say_fault(reply.parameters);
    else
        r = reply.error ? remote_error_say(&reply) : print_reloaded(options, reply.parameters);
    reply_deinit(&reply);
    return r < 0 ? connection_failed(connection, r) : r;
}

/* -- explain -- */

static int put_user(json_t *parameters, const struct policy_user *user)
{
    json_t *groups = json_array();
    int r = groups ? 0 : -1;

    for (size_t i = 0; r == 0 && i < user->n_groups; i++)
        r = json_array_append_new(groups, json_integer(user->groups[i]));
    if (r == 0)
        r = json_object_set_new(parameters, "user_uid", json_integer((json_int_t)user->uid));
    if (r == 0)
        r = json_object_set_new(parameters, "user_gid", json_integer((json_int_t)user->gid));
    if (r == 0)
        r = json_object_set(parameters, "user_groups", groups);
    json_decref(groups);
    return r;
}

/* NULL without memory. */
static json_t *explain_parameters(const struct card_file *card, const struct policy_user *user)
{
    json_t *parameters = json_pack("{s:O}", "card", card->json);

    if (!parameters || !user || put_user(parameters, user) == 0)
        return parameters;
    json_decref(parameters);
    return NULL;
}

int policy_remote_explain(const struct options *options, const struct card_file *card,
                          const struct policy_user *user, json_t **ret)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    int status = connection_open_or_say(options->socket, &connection);

    if (status == STATUS_OK)
        status = connection_call(connection, "io.caged.ExplainPolicy",
                                 explain_parameters(card, user), &reply);
    if (status != STATUS_OK)
        return status;
    *ret = json_incref(reply.parameters);
    reply_deinit(&reply);
    return STATUS_OK;
}
