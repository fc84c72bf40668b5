/* cagectl reload: a running agent gets the hosts of its card as it is now. */
#include <stdio.h>

#include "card-file.h"
#include "card-trust.h"
#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "hosts.h"
#include "options.h"
#include "output.h"
#include "target.h"
#include "text.h"

static int print_change(const json_t *parameters)
{
    size_t changes = 0, ignored = 0;
    bool live = false;
    int r = hosts_print_change(parameters, &changes);

    if (r == 0)
        r = field_bool_optional(parameters, "live_replaced", &live);
    if (r == 0 && live)
        (void)printf("  what allow, deny and approve had changed is as in the card again\n");
    if (r == 0 && changes == 0)
        (void)printf("  its hosts are as they were\n");
    if (r == 0)
        r = hosts_print_ignored(parameters, &ignored);
    return r;
}

/* STATUS_OK, an exit status, or -EPROTO. */
static int print_reloaded(const struct options *options, const json_t *parameters)
{
    struct agent agent;

    if (agent_from_parameters(parameters, &agent) < 0)
        return -EPROTO;
    if (option_given(options, OPTION_JSON))
        return output_json_line(parameters);
    if (option_given(options, OPTION_QUIET))
        return STATUS_OK;
    text_print(stdout, agent.id);
    (void)printf(" reloaded\n");
    int r = print_change(parameters);
    return r < 0 ? r : output_flush();
}

/* NULL without memory. */
static json_t *reload_parameters(const struct card_file *file, const struct agent_name *name)
{
    json_t *parameters = json_pack("{s:O}", "card", file->json);

    if (!parameters || name->owner_uid == AGENT_NONE ||
        json_object_set_new(parameters, "owner_uid", json_integer((json_int_t)name->owner_uid)) ==
            0)
        return parameters;
    json_decref(parameters);
    return NULL;
}

static int reload(const struct options *options, const struct card_file *file,
                  const struct agent_name *name)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    int status = connection_open_or_say(options->socket, &connection);

    if (status == STATUS_OK)
        status =
            connection_call(connection, "io.caged.Reload", reload_parameters(file, name), &reply);
    if (status != STATUS_OK)
        return status;
    int r = print_reloaded(options, reply.parameters);
    reply_deinit(&reply);
    return r < 0 ? connection_failed(connection, r) : r;
}

int verb_reload(const struct options *options)
{
    struct card_file file = {};
    struct card_error error;
    struct agent_name name;
    AUTO_FREE char *trusted = NULL;
    const char *path = options->arguments[0];
    int status = STATUS_OK;

    /* With --id it is a unit's card, which must be what `service` would start. */
    if (option_given(options, OPTION_ID))
        status = card_trust_check(path, &trusted);
    if (status != STATUS_OK)
        return status;
    int r = card_file_read(trusted ? trusted : path, &file, &error);
    if (r < 0)
        return card_file_say(path, r, &error);
    status = card_trust_check_id(options, &file);
    if (status == STATUS_OK)
        status = target_from_options(options, file.card->agent_id, &name);
    if (status == STATUS_OK)
        status = reload(options, &file, &name);
    card_file_deinit(&file);
    return status;
}
