/* Varlink errors of the daemon. */
#include "remote-error.h"

#include <inttypes.h>
#include <stdio.h>

#include "exit-status.h"
#include "remote-hint.h"
#include "text.h"

#define INTERFACE_PREFIX "io.caged."
#define SERVICE_PREFIX "org.varlink.service."
#define TEXT_MAX 1024

struct remote_error {
    const char *name;
    int status;
    /* {key} stands for the parameter of that name. */
    const char *text;
    const char *hint;                                  /* NULL: none */
    const char *(*hint_for)(const json_t *parameters); /* instead, where it depends on these */
};

static const struct remote_error errors[] = {
    {INTERFACE_PREFIX "InvalidCard", STATUS_CARD,
     "the card was refused: {path}: found {found}, expected {expected}", "see caged.card(5)"},
    {INTERFACE_PREFIX "InvalidPolicy", STATUS_CARD,
     "the site policy was refused: {file}: {path}: found {found}, expected {expected}",
     "what was in force before is so still; see caged.policy(5)"},
    {INTERFACE_PREFIX "NoSuchAgent", STATUS_NO_AGENT, "you have no agent '{agent_id}'",
     "see which there are: cagectl list --all"},
    {INTERFACE_PREFIX "Ambiguous", STATUS_USAGE, "several users have an agent '{agent_id}'",
     "say whose: --owner USER (see cagectl list)"},
    {INTERFACE_PREFIX "AgentExists", STATUS_EXISTS, "an agent '{agent_id}' exists already",
     "end it first if it is yours: cagectl stop {agent_id}; or give the card another agent_id"},
    {INTERFACE_PREFIX "NotRunning", STATUS_NO_AGENT,
     "agent '{agent_id}' does not run: it is {state}",
     "see how it went: cagectl inspect {agent_id}"},
    {INTERFACE_PREFIX "NotPermitted", STATUS_PERMISSION, "not permitted: {what}: {reason}", NULL,
     remote_hint_not_permitted},
    {INTERFACE_PREFIX "NotSupported", STATUS_UNSUPPORTED,
     "this host cannot give what the card asks for: {what}: {reason}",
     "nothing was started; change the card or ask the operator of this host"},
    {INTERFACE_PREFIX "Busy", STATUS_BUSY, "the limit of {limit} is reached ({maximum})", NULL,
     remote_hint_busy},
    {INTERFACE_PREFIX "HistoryFailed", STATUS_OUTPUT, "the journal could not be read: {reason}",
     "more may be in: journalctl -u cagedd"},
    {INTERFACE_PREFIX "SpawnFailed", STATUS_CAGE,
     "the agent could not be started: {step}: {reason}", NULL, remote_hint_spawn_failed},
    {INTERFACE_PREFIX "ReloadFailed", STATUS_INTERNAL,
     "the hosts of agent '{agent_id}' could not be changed: {reason}", "they are as they were"},
    {INTERFACE_PREFIX "TooManyHosts", STATUS_BUSY,
     "'{list}' would have more than {maximum} entries", "the agent's hosts are as they were"},
    {SERVICE_PREFIX "InterfaceNotFound", STATUS_PROTOCOL,
     "the daemon does not know the interface {interface}",
     "are both of the same version? try: cagectl version"},
    {SERVICE_PREFIX "MethodNotFound", STATUS_PROTOCOL,
     "the daemon does not know the method {method}",
     "are both of the same version? try: cagectl version"},
    {SERVICE_PREFIX "MethodNotImplemented", STATUS_PROTOCOL,
     "the daemon does not have the method {method}",
     "are both of the same version? try: cagectl version"},
    {SERVICE_PREFIX "InvalidParameter", STATUS_PROTOCOL,
     "the daemon refused the parameter {parameter}",
     "are both of the same version? try: cagectl version"},
    {SERVICE_PREFIX "PermissionDenied", STATUS_PERMISSION, "not permitted",
     "members of the group caged may: sudo usermod -aG caged $USER, then log in again"},
    {SERVICE_PREFIX "ExpectedMore", STATUS_PROTOCOL, "the daemon wanted a call with 'more'",
     "are both of the same version? try: cagectl version"},
};

/* The parameter `name` (not terminated) as text. */
static void parameter_format(const json_t *parameters, const char *name, size_t length,
                             char *buffer, size_t size)
{
    char key[64];
    const json_t *value;

    (void)snprintf(key, sizeof(key), "%.*s", (int)length, name);
    value = json_object_get(parameters, key);
    if (json_is_string(value))
        (void)snprintf(buffer, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        (void)snprintf(buffer, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        (void)snprintf(buffer, size, "?");
}

/* Fills in a text of the table; cut at the end of the buffer. */
static void text_fill(const char *text, const json_t *parameters, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = 0;
    while (*text && used + 1 < size) {
        const char *close = *text == '{' ? strchr(text, '}') : NULL;
        if (close) {
            parameter_format(parameters, text + 1, (size_t)(close - text - 1), buffer + used,
                             size - used);
            used += strlen(buffer + used);
            text = close + 1;
        } else {
            buffer[used++] = *text++;
            buffer[used] = 0;
        }
    }
}

/* A place in the call says nothing to who did not write it: the reason names the entry itself. */
static bool is_entry_of_call(const json_t *parameters)
{
    const char *what = json_string_value(json_object_get(parameters, "what"));

    return what && (has_prefix(what, "allow[") || has_prefix(what, "deny["));
}

static const char *text_for(const struct remote_error *error, const json_t *parameters)
{
    return error->status == STATUS_PERMISSION && is_entry_of_call(parameters)
               ? "not permitted: {reason}"
               : error->text;
}

int remote_error_say(const struct reply *reply)
{
    char text[TEXT_MAX];

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        if (!streq(errors[i].name, reply->error))
            continue;
        text_fill(text_for(&errors[i], reply->parameters), reply->parameters, text, sizeof(text));
        say("%s", text);
        const char *hint =
            errors[i].hint_for ? errors[i].hint_for(reply->parameters) : errors[i].hint;
        if (hint) {
            text_fill(hint, reply->parameters, text, sizeof(text));
            say_hint("%s", text);
        }
        return errors[i].status;
    }
    say("the daemon answered with the error %s", reply->error);
    say_hint("are both of the same version? try: cagectl version");
    return STATUS_PROTOCOL;
}

bool remote_error_is(const struct reply *reply, const char *name)
{
    return reply->error && has_prefix(reply->error, INTERFACE_PREFIX) &&
           streq(reply->error + strlen(INTERFACE_PREFIX), name);
}
