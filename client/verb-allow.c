/* cagectl allow, deny, and approve with a host: single hosts for a running agent, or no more. */
#include <inttypes.h>
#include <stdio.h>

#include "caged-limits.h"
#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "host-pattern.h"
#include "hosts.h"
#include "options.h"
#include "output.h"
#include "target.h"
#include "text.h"

/* -- the call -- */

/* The daemon would name the entry alone; what is wrong with it can be told here. */
static int hosts_check(const struct options *options, bool allow)
{
    struct host_pattern pattern;
    const char *why = "";

    if (options->n_arguments - 1 > CARD_HOSTS_MAX) {
        say("%zu hosts are too many: one call takes %d", options->n_arguments - 1, CARD_HOSTS_MAX);
        return STATUS_USAGE;
    }
    for (size_t i = 1; i < options->n_arguments; i++) {
        int r = host_pattern_parse(options->arguments[i], &pattern, &why);
        if (r == 0 && !allow && host_pattern_has_options(&pattern)) {
            say("'%s': what is denied has no options; write it without what follows the ';'",
                options->arguments[i]);
            return STATUS_USAGE;
        }
        if (r == 0)
            continue;
        say("'%s' is no host: %s", options->arguments[i], why);
        say_hint("a host is a name, *.name, an address or a range, perhaps with :port");
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

static json_t *change_parameters(const struct options *options, const struct agent_name *name,
                                 const char *list)
{
    json_t *parameters = agent_name_to_json(name), *array = json_array();
    int r = parameters && array ? 0 : -1;

    for (size_t i = 1; r == 0 && i < options->n_arguments; i++)
        r = json_array_append_new(array, json_string(options->arguments[i]));
    if (r == 0)
        r = json_object_set(parameters, list, array);
    json_decref(array);
    if (r == 0)
        return parameters;
    json_decref(parameters);
    return NULL;
}

/* -- what it changed -- */

/* An entry of denied_hosts wins over those of allowed_hosts: where one covers what was allowed just
 * now, that is of no use. */
static int print_denied_still(const struct options *options, const json_t *parameters)
{
    json_t *denied, *item;
    size_t i;

    if (field_array(parameters, "denied_hosts", &denied) < 0)
        return -EPROTO;
    for (size_t k = 1; k < options->n_arguments; k++) {
        json_array_foreach (denied, i, item) {
            if (!json_is_string(item))
                return -EPROTO;
            if (!hosts_entry_covers(json_string_value(item), options->arguments[k]))
                continue;
            (void)printf("  ! ");
            text_print(stdout, options->arguments[k]);
            (void)printf(" is of no use: denied_hosts has ");
            text_print(stdout, json_string_value(item));
            (void)putchar('\n');
        }
    }
    return 0;
}

static bool is_change(const json_t *parameters)
{
    static const char *const lists[] = {"added", "removed", "denied_added", "denied_removed",
                                        "ignored"};

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        if (json_array_size(json_object_get(parameters, lists[i])) > 0)
            return true;
    return false;
}

static int print_change(const struct options *options, const json_t *parameters, bool allow)
{
    size_t changes = 0, ignored = 0;
    uint64_t cut;
    int r = field_u64(parameters, "cut", &cut);

    if (r == 0)
        r = hosts_print_change(parameters, &changes);
    if (r == 0)
        r = hosts_print_ignored(parameters, &ignored);
    if (r == 0 && allow)
        r = print_denied_still(options, parameters);
    if (r == 0 && cut > 0)
        (void)printf("  %" PRIu64 " connection%s cut\n", cut, cut == 1 ? "" : "s");
    return r;
}

/* STATUS_OK, an exit status, or -EPROTO. */
static int print_changed(const struct options *options, const json_t *parameters, bool allow)
{
    struct agent agent;

    if (agent_from_parameters(parameters, &agent) < 0)
        return -EPROTO;
    if (option_given(options, OPTION_JSON))
        return output_json_line(parameters);
    if (option_given(options, OPTION_QUIET))
        return STATUS_OK;
    text_print(stdout, agent.id);
    (void)printf("%s\n", is_change(parameters) ? " changed" : ": its hosts are as they were");
    int r = print_change(options, parameters, allow);
    return r < 0 ? r : output_flush();
}

static int change(const struct options *options, bool allow)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    struct agent_name name;
    int status = hosts_check(options, allow);

    if (status == STATUS_OK)
        status = target_from_options(options, options->arguments[0], &name);
    if (status == STATUS_OK)
        status = connection_open_or_say(options->socket, &connection);
    if (status == STATUS_OK)
        status =
            connection_call(connection, "io.caged.ChangeHosts",
                            change_parameters(options, &name, allow ? "allow" : "deny"), &reply);
    if (status != STATUS_OK)
        return status;
    int r = print_changed(options, reply.parameters, allow);
    reply_deinit(&reply);
    return r < 0 ? connection_failed(connection, r) : r;
}

int verb_allow(const struct options *options)
{
    return change(options, true);
}

int verb_deny(const struct options *options)
{
    return change(options, false);
}
