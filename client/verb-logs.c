/* cagectl logs: what an agent has put out, from the daemon's memory and the journal, and what
 * comes.
 */
#include "exit-status.h"
#include "follow.h"
#include "options.h"
#include "target.h"
#include "text.h"

/* STATUS_OK, or STATUS_USAGE after telling what does not go together. */
static int check_options(const struct options *options)
{
    const char *fault = NULL;

    if (option_given(options, OPTION_FOLLOW) && option_given(options, OPTION_UNTIL))
        fault = "--follow goes on into the future: it cannot be combined with --until";
    else if (option_given(options, OPTION_JSON) && option_given(options, OPTION_OUTPUT) &&
             options->form != LINE_JSON)
        fault = "--json is --output=json: it cannot be combined with another form";
    if (!fault)
        return STATUS_OK;
    say("%s", fault);
    say_hint("try 'cagectl help logs'");
    return STATUS_USAGE;
}

int verb_logs(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct follow f = {
        .socket = options->socket,
        .form = option_given(options, OPTION_JSON) ? LINE_JSON : options->form,
    };
    const uint32_t *lines = option_given(options, OPTION_LINES) ? &options->lines : NULL;
    bool follow = option_given(options, OPTION_FOLLOW);
    int status = check_options(options);

    if (status == STATUS_OK)
        status = target_from_options(options, options->arguments[0], &f.agent);
    if (status == STATUS_OK)
        status = connection_open_or_say(options->socket, &connection);
    if (status != STATUS_OK)
        return status;
    f.connection = connection;
    if (option_given(options, OPTION_SINCE) || option_given(options, OPTION_UNTIL))
        return follow_times(&f, options->since, options->until, follow, lines);
    return follow_logs_or_past(&f, follow, lines);
}
