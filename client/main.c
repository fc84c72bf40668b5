/* cagectl: the client of cagedd. It needs no privilege and has none; the daemon trusts nothing
 * that it says, only the descriptors that it holds. Here: which verb is asked for. */
#include <locale.h>
#include <signal.h>

#include "exit-status.h"
#include "options.h"
#include "output.h"
#include "text.h"

#define OPTIONS_JSON (OPTION_SOCKET | OPTION_JSON)

const struct verb verbs[] = {
    {"spawn", "[--follow|--wait] [--ask[=SECONDS]] CARD [-- ARGUMENT...]",
     "Start the agent of a card",
     OPTIONS_JSON | OPTION_QUIET | OPTION_FOLLOW | OPTION_WAIT | OPTION_ASK, 1, 1, "a card", true,
     verb_spawn},
    {"run", "[-t] [--ask[=SECONDS]] CARD [-- ARGUMENT...]",
     "Run the agent of a card in the foreground", OPTION_SOCKET | OPTION_TERMINAL | OPTION_ASK, 1,
     1, "a card", true, verb_run},
    {"service", "[--id ID] [--grace SECONDS] CARD",
     "Be the main process of an agent's systemd unit", OPTION_SOCKET | OPTION_ID | OPTION_GRACE, 1,
     1, "a card", false, verb_service},
    {"list", "[--all]", "List the agents that run; with --all also those that ended",
     OPTIONS_JSON | OPTION_ALL, 0, 0, "", false, verb_list},
    {"inspect", "ID", "Show everything about an agent", OPTION_OWNER | OPTIONS_JSON, 1, 1,
     "the id of an agent", false, verb_inspect},
    {"logs", "[-f] [-n N] [-S TIME] [-U TIME] [-o FORM] ID", "Show the output of an agent",
     OPTION_OWNER | OPTIONS_JSON | OPTION_FOLLOW | OPTION_LINES | OPTION_SINCE | OPTION_UNTIL |
         OPTION_OUTPUT,
     1, 1, "the id of an agent", false, verb_logs},
    {"reload", "CARD", "Give a running agent the hosts of its card as it is now",
     OPTION_OWNER | OPTION_ID | OPTIONS_JSON | OPTION_QUIET, 1, 1, "a card", false, verb_reload},
    {"allow", "ID HOST...", "Let a running agent reach hosts",
     OPTION_OWNER | OPTIONS_JSON | OPTION_QUIET, 2, ANY_NUMBER, "the id of an agent and a host",
     false, verb_allow},
    {"deny", "ID HOST...", "Deny hosts to a running agent, and cut its connections to them",
     OPTION_OWNER | OPTIONS_JSON | OPTION_QUIET, 2, ANY_NUMBER, "the id of an agent and a host",
     false, verb_deny},
    {"approve", "ID [HOST...]",
     "Let an agent that asks reach hosts; without a host list what waits",
     OPTION_OWNER | OPTIONS_JSON | OPTION_QUIET, 1, ANY_NUMBER, "the id of an agent", false,
     verb_approve},
    {"hosts", "ID", "Show which hosts an agent may reach", OPTION_OWNER | OPTIONS_JSON, 1, 1,
     "the id of an agent", false, verb_hosts},
    {"suggest", "ID", "Print the allowed_hosts that would cover what an agent was refused",
     OPTION_OWNER | OPTIONS_JSON, 1, 1, "the id of an agent", false, verb_suggest},
    {"stop", "[--grace SECONDS] [--no-wait] ID...|--all", "End agents in good order",
     OPTION_OWNER | OPTION_SOCKET | OPTION_ALL | OPTION_GRACE | OPTION_NO_WAIT, 0, ANY_NUMBER, "",
     false, verb_stop},
    {"kill", "[-s SIGNAL] ID...", "Send a signal; without -s kill all that is in the cage",
     OPTION_OWNER | OPTION_SOCKET | OPTION_SIGNAL, 1, ANY_NUMBER, "the id of an agent", false,
     verb_kill},
    {"wait", "ID...", "Wait until agents end, exit with their status",
     OPTION_OWNER | OPTIONS_JSON | OPTION_QUIET, 1, ANY_NUMBER, "the id of an agent", false,
     verb_wait},
    {"events", "[ID]", "Show what happens from now on", OPTIONS_JSON, 0, 1, "", false, verb_events},
    {"audit", "[-f] [-d] [-n N] [-S TIME] [-U TIME] [-o FORM] [ID]",
     "Show what agents asked of the network, and how it ended",
     OPTION_OWNER | OPTIONS_JSON | OPTION_WATCH | OPTION_DENIED | OPTION_LINES | OPTION_SINCE |
         OPTION_UNTIL | OPTION_FORM,
     0, 1, "", false, verb_audit},
    {"check", "CARD...", "Validate cards; needs no daemon", OPTION_JSON | OPTION_QUIET, 1,
     ANY_NUMBER, "a card", false, verb_check},
    {"policy", "check FILE... | explain [--policy FILE] [--as USER] CARD | reload",
     "Check a site policy, explain what it makes of a card, or load it anew",
     OPTIONS_JSON | OPTION_QUIET | OPTION_POLICY | OPTION_AS | OPTION_DATA_DIR, 1, ANY_NUMBER,
     "check, explain or reload", false, verb_policy},
    {"version", "", "Print the versions of cagectl and of the daemon", OPTIONS_JSON, 0, 0, "",
     false, verb_version},
    {"help", "[VERB]", "Explain a verb", 0, 0, 1, "", false, verb_help},
};
const size_t n_verbs = ARRAY_SIZE(verbs);

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < n_verbs; i++)
        if (streq(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

static const char *verb_name(int argc, char **argv)
{
    if (argc < 2 || streq(argv[1], "--help") || streq(argv[1], "-h"))
        return "help";
    return streq(argv[1], "--version") ? "version" : argv[1];
}

static int verb_run_with(const struct verb *verb, int argc, char **argv)
{
    struct options options;
    char why[512];
    int status;
    int r = options_parse(argc, argv, verb, &options, why, sizeof(why));

    if (r == -ENOMEM) {
        say("out of memory");
        return STATUS_INTERNAL;
    }
    if (r < 0) {
        say("%s", why);
        say_hint("try 'cagectl help %s'", verb->name);
        return STATUS_USAGE;
    }
    status = option_given(&options, OPTION_HELP) ? verb_help(&options) : verb->run(&options);
    options_deinit(&options);
    return status;
}

int main(int argc, char **argv)
{
    static char *no_arguments[] = {(char *)"help", NULL};
    const char *name = verb_name(argc, argv);
    const struct verb *verb = verb_find(name);

    (void)setlocale(LC_TIME, "");
    /* A reader that goes away is seen as EPIPE, so that the terminal can be restored first. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (verb && argc < 2)
        return verb_run_with(verb, 1, no_arguments);
    if (verb)
        return verb_run_with(verb, argc - 1, argv + 1);
    if (name[0] == '-')
        say("options come after the verb, and '%s' stands where the verb should be", name);
    else
        say("there is no verb '%s'", name);
    say_hint("try 'cagectl help'");
    return STATUS_USAGE;
}
