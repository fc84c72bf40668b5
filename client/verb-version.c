/* cagectl version: its own, and that of the daemon if one answers. */
#include <stdio.h>

#include "config.h"
#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "options.h"
#include "output.h"
#include "text.h"

/* Version of the daemon in the reply, or NULL if there is none to ask: that is no failure here. */
static const char *daemon_version(struct connection *connection, struct reply *reply)
{
    const char *version;

    if (connection_send(connection, "org.varlink.service.GetInfo", json_object(), false, NULL, 0) <
            0 ||
        connection_receive(connection, reply) < 0)
        return NULL;
    if (reply->error || field_string(reply->parameters, "version", &version) < 0)
        return NULL;
    return version;
}

static int print_versions(const struct options *options, const char *daemon)
{
    if (option_given(options, OPTION_JSON)) {
        json_t *versions = json_pack("{s:s, s:s?}", "cagectl", CAGED_VERSION, "cagedd", daemon);
        int status = versions ? output_json_line(versions) : STATUS_INTERNAL;
        json_decref(versions);
        return status;
    }
    (void)printf("cagectl %s\n", CAGED_VERSION);
    (void)printf("cagedd ");
    text_print(stdout, daemon ? daemon : "does not answer you at ");
    if (!daemon)
        text_print(stdout, options->socket);
    (void)printf(daemon ? "\n" : "; see why: cagectl list\n");
    return output_flush();
}

int verb_version(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    const char *daemon = NULL;
    int status;

    if (connection_open(options->socket, &connection) == 0)
        daemon = daemon_version(connection, &reply);
    status = print_versions(options, daemon);
    reply_deinit(&reply);
    return status;
}
