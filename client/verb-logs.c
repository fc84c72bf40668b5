/* cagectl logs: an agent's output, as far as the daemon still has it, and what comes. */
#include "exit-status.h"
#include "follow.h"
#include "options.h"
#include "target.h"

int verb_logs(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct follow f = {.json = option_given(options, OPTION_JSON)};
    int status = target_from_options(options, options->arguments[0], &f.agent);

    if (status == STATUS_OK)
        status = connection_open_or_say(options->socket, &connection);
    if (status != STATUS_OK)
        return status;
    f.connection = connection;
    return follow_logs(&f, option_given(options, OPTION_FOLLOW),
                       option_given(options, OPTION_LINES) ? &options->lines : NULL);
}
