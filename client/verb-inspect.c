/* cagectl inspect: everything about one agent, in sections that a person can read. */
#include <inttypes.h>
#include <stdio.h>

#include "agent.h"
#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "options.h"
#include "output.h"
#include "owner.h"
#include "planted.h"
#include "target.h"
#include "text.h"

#define LABEL_WIDTH 24

static void print_label_in(const char *label, int width)
{
    (void)printf("  %-*s", width, label);
}

static void print_label(const char *label)
{
    print_label_in(label, LABEL_WIDTH);
}

static void print_string(const char *label, const char *value)
{
    print_label(label);
    text_print(stdout, value);
    (void)putchar('\n');
}

static void print_number(const char *label, uint64_t value)
{
    print_label(label);
    (void)printf("%" PRIu64 "\n", value);
}

static void print_time(const char *label, uint64_t usec)
{
    char text[64];

    time_format(usec, text, sizeof(text));
    print_string(label, text);
}

/* An array of strings: one a line, or "none". */
static int print_strings(const json_t *object, const char *key, const char *label)
{
    json_t *array;
    const json_t *item;
    size_t i;

    if (field_array(object, key, &array) < 0)
        return -EPROTO;
    if (json_array_size(array) == 0)
        print_string(label, "none");
    json_array_foreach (array, i, item) {
        if (!json_is_string(item))
            return -EPROTO;
        print_string(i == 0 ? label : "", json_string_value(item));
    }
    return 0;
}

static int print_agent(const json_t *parameters)
{
    struct agent agent;
    char end[1024], owner[64];

    if (agent_from_parameters(parameters, &agent) < 0)
        return -EPROTO;
    (void)printf("Agent\n");
    print_string("id", agent.id);
    if (agent.invocation_id)
        print_string("invocation id", agent.invocation_id);
    if (agent.unit)
        print_string("unit", agent.unit);
    print_label("owner");
    owner_format(agent.owner_uid, owner, sizeof(owner));
    text_print(stdout, owner);
    (void)printf(" (%" PRIu64 ")\n", agent.owner_uid);
    print_string("preset", *agent.preset ? agent.preset : "none");
    print_string("state", agent.state);
    if (agent.log_held)
        print_string("waits for the log", agent.log_held);
    print_time("spawned", agent.spawned_usec);
    if (agent.ended_usec != AGENT_NONE)
        print_time("ended", agent.ended_usec);
    if (agent.ttl_left != AGENT_NONE)
        print_number("seconds left", agent.ttl_left);
    if (agent.pid != AGENT_NONE)
        print_number("pid", agent.pid);
    if (agent.reason) {
        agent_end_format(&agent, NULL, end, sizeof(end));
        print_string("end", end);
    }
    return 0;
}

static int print_command(const json_t *parameters)
{
    json_t *command, *word;
    size_t i;

    if (field_array(parameters, "command", &command) < 0)
        return -EPROTO;
    print_label("command");
    json_array_foreach (command, i, word) {
        if (!json_is_string(word))
            return -EPROTO;
        if (i > 0)
            (void)putchar(' ');
        (void)json_dumpf(word, stdout, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    }
    (void)putchar('\n');
    return 0;
}

/* "/data is /srv/datasets, read-only" */
static int print_mounts(const json_t *parameters)
{
    json_t *mounts;
    const json_t *item;
    size_t i;

    if (field_array(parameters, "mounts", &mounts) < 0)
        return -EPROTO;
    json_array_foreach (mounts, i, item) {
        const char *source, *target;
        if (!json_is_object(item) || field_string(item, "source", &source) < 0 ||
            field_string(item, "target", &target) < 0)
            return -EPROTO;
        print_label(i == 0 ? "mounts" : "");
        text_print(stdout, target);
        (void)printf(" is ");
        text_print(stdout, source);
        (void)printf(", %s\n",
                     json_is_false(json_object_get(item, "readonly")) ? "writable" : "read-only");
    }
    return 0;
}

static int print_cage(const json_t *parameters)
{
    const char *workspace;
    const json_t *agent = json_object_get(parameters, "agent");
    uint64_t uid_base;

    (void)printf("Cage\n");
    if (print_command(parameters) < 0 || field_string(agent, "workspace", &workspace) < 0 ||
        field_u64(parameters, "uid_base", &uid_base) < 0)
        return -EPROTO;
    print_string("workspace", workspace);
    if (print_mounts(parameters) < 0)
        return -EPROTO;
    if (uid_base != 0) /* an agent that ended has given its range back */
        print_number("first uid", uid_base);
    return print_strings(parameters, "cgroups", "cgroups");
}

/* Wide enough for the longest name of a limit, and two spaces. */
static int limits_width(const json_t *limits)
{
    size_t i, width = LABEL_WIDTH;
    const json_t *item;

    json_array_foreach (limits, i, item) {
        const char *limit = json_string_value(json_object_get(item, "limit"));
        width = MAX_OF(width, limit ? strlen(limit) + 2 : 0);
    }
    return (int)width;
}

static int print_limits(const json_t *parameters)
{
    json_t *limits;
    const json_t *item;
    size_t i;

    if (field_array(parameters, "limits", &limits) < 0)
        return -EPROTO;
    (void)printf("Limits\n");
    json_array_foreach (limits, i, item) {
        const char *limit, *controller, *file, *written;
        uint64_t value;
        if (!json_is_object(item) || field_string(item, "limit", &limit) < 0 ||
            field_u64(item, "value", &value) < 0 ||
            field_string(item, "controller", &controller) < 0 ||
            field_string(item, "file", &file) < 0 || field_string(item, "written", &written) < 0)
            return -EPROTO;
        print_label_in(limit, limits_width(limits));
        (void)printf("%" PRIu64 " (", value);
        text_print(stdout, controller);
        (void)printf(": ");
        text_print(stdout, written);
        (void)printf(" in ");
        text_print(stdout, file);
        (void)printf(")\n");
    }
    return 0;
}

static int print_network(const json_t *parameters)
{
    const char *interface, *address, *gate, *parent = "none: the gate dials by itself";
    uint64_t port, pid = AGENT_NONE, allowed, refused;
    json_t *network;

    if (field_object(parameters, "network", &network) < 0 ||
        field_string(network, "interface", &interface) < 0 ||
        field_string(network, "agent_address", &address) < 0 ||
        field_string(network, "gate_address", &gate) < 0 ||
        field_u64(network, "gate_port", &port) < 0 ||
        field_u64_optional(network, "gate_pid", &pid) < 0 ||
        field_string_optional(network, "parent_proxy", &parent) < 0 ||
        field_u64(network, "allowed", &allowed) < 0 || field_u64(network, "refused", &refused) < 0)
        return -EPROTO;
    (void)printf("Network\n");
    print_string("interface", interface);
    print_string("address", address);
    print_label("gate");
    text_print(stdout, gate);
    (void)printf(":%" PRIu64, port);
    if (pid != AGENT_NONE)
        (void)printf(" (pid %" PRIu64 ")", pid);
    (void)putchar('\n');
    print_string("parent proxy", parent);
    if (json_is_true(json_object_get(network, "transparent")))
        print_string("transparent", "yes");
    print_number("requests allowed", allowed);
    print_number("requests refused", refused);
    if (print_strings(network, "gate_cgroups", "gate's cgroups") < 0)
        return -EPROTO;
    if (print_strings(network, "allowed_hosts", "allowed hosts") < 0 ||
        print_strings(network, "private_hosts", "private hosts") < 0 ||
        print_strings(network, "denied_hosts", "denied hosts") < 0)
        return -EPROTO;
    return print_strings(network, "forwards", "forwards");
}

static int print_planted(const json_t *parameters)
{
    return planted_print(json_object_get(parameters, "agent"));
}

/* In the order of the sections. */
static int (*const sections[])(const json_t *parameters) = {
    print_agent, print_cage, print_limits, print_network, print_planted,
};

int verb_inspect(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    struct agent_name name;
    int status = target_from_options(options, options->arguments[0], &name);

    if (status == STATUS_OK)
        status = connection_open_or_say(options->socket, &connection);
    if (status == STATUS_OK)
        status = connection_call(connection, "io.caged.Inspect", agent_name_to_json(&name), &reply);
    if (status != STATUS_OK)
        return status;
    if (option_given(options, OPTION_JSON)) {
        status = output_json(reply.parameters);
    } else {
        int r = 0;
        for (size_t i = 0; i < ARRAY_SIZE(sections) && r == 0; i++)
            r = sections[i](reply.parameters);
        status = r < 0 ? connection_failed(connection, r) : output_flush();
    }
    reply_deinit(&reply);
    return status;
}
