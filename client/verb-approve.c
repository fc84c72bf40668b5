/* cagectl approve: answers an agent that asks for hosts; without a host it lists what waits. */
#include <inttypes.h>
#include <stdio.h>

#include "exit-status.h"
#include "field.h"
#include "hosts.h"
#include "output.h"

static int held_print(const struct options *options, const json_t *parameters)
{
    uint64_t ask = 0;
    json_t *held;

    if (field_array(parameters, "held", &held) < 0 ||
        field_u64_optional(parameters, "ask_seconds", &ask) < 0)
        return -EPROTO;
    if (option_given(options, OPTION_JSON))
        return output_json(held);
    if (json_array_size(held) > 0) {
        int r = hosts_print_held(held);
        if (r < 0)
            return r;
    } else {
        (void)printf(ask > 0 ? "nothing waits for an answer\n"
                             : "the agent does not ask: it was started without --ask\n");
    }
    return output_flush();
}

static int held_list(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    int status = hosts_fetch(options, &connection, &reply);

    if (status != STATUS_OK)
        return status;
    int r = held_print(options, reply.parameters);
    reply_deinit(&reply);
    return r < 0 ? connection_failed(connection, r) : r;
}

int verb_approve(const struct options *options)
{
    return options->n_arguments > 1 ? verb_allow(options) : held_list(options);
}
