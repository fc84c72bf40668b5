/* cagectl help: written from the tables of verbs and options. */
#include <stdio.h>

#include "exit-status.h"
#include "options.h"
#include "output.h"
#include "text.h"

static int help_overview(void)
{
    (void)printf(
        "Usage: cagectl VERB [OPTIONS] [ARGUMENTS]\n\n"
        "Runs AI coding agents in cages: one workspace, a short list of hosts, nothing else.\n\n"
        "Verbs:\n");
    for (size_t i = 0; i < n_verbs; i++)
        (void)printf("  %-9s %s\n", verbs[i].name, verbs[i].help);
    (void)printf("\nMore: 'cagectl help VERB', cagectl(1), caged.card(5)\n");
    return output_flush();
}

static int help_verb(const struct verb *verb)
{
    struct option_help option;

    (void)printf("Usage: cagectl %s%s%s\n\n%s.\n\nOptions:\n", verb->name,
                 *verb->arguments ? " " : "", verb->arguments, verb->help);
    for (size_t i = 0; option_help_get(i, &option); i++) {
        char name[64];
        if (!(option.bit & (verb->options | OPTION_HELP)))
            continue;
        (void)snprintf(name, sizeof(name), "--%s%s%s", option.name,
                       option.argument && option.argument[0] != '[' ? " " : "",
                       option.argument ? option.argument : "");
        (void)printf("  %c%c%s %-18s %s\n", option.letter ? '-' : ' ',
                     option.letter ? option.letter : ' ', option.letter ? "," : " ", name,
                     option.help);
    }
    return output_flush();
}

int verb_help(const struct options *options)
{
    const struct verb *verb;

    if (option_given(options, OPTION_HELP)) /* cagectl VERB --help */
        return help_verb(options->verb);
    if (options->n_arguments == 0)
        return help_overview();
    verb = verb_find(options->arguments[0]);
    if (verb)
        return help_verb(verb);
    say("there is no verb '%s'", options->arguments[0]);
    say_hint("try 'cagectl help'");
    return STATUS_USAGE;
}
