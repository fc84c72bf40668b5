/* A verb of cagectl: its row in the table of main.c, and the functions behind the rows. A verb's
 * function has told the user about a failure itself and returns the exit status (exit-status.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct options;

struct verb {
    const char *name;
    const char *arguments; /* as in the manual: "[-f] [-n N] ID" */
    const char *help;      /* one line */
    unsigned options;      /* bits of enum option_bit (options.h) that it accepts */
    size_t min_arguments;
    size_t max_arguments;
    const char *missing; /* what is asked for when there are too few: "a card" */
    bool takes_rest;     /* words after `--` are the agent's */
    int (*run)(const struct options *options);
};

#define ANY_NUMBER ((size_t)-1)

extern const struct verb verbs[];
extern const size_t n_verbs;

const struct verb *verb_find(const char *name); /* NULL if there is none */

int verb_spawn(const struct options *options);
int verb_run(const struct options *options);
int verb_service(const struct options *options);
int verb_list(const struct options *options);
int verb_inspect(const struct options *options);
int verb_logs(const struct options *options);
int verb_reload(const struct options *options);
int verb_allow(const struct options *options);
int verb_deny(const struct options *options);
int verb_approve(const struct options *options);
int verb_hosts(const struct options *options);
int verb_suggest(const struct options *options);
int verb_stop(const struct options *options);
int verb_kill(const struct options *options);
int verb_wait(const struct options *options);
int verb_audit(const struct options *options);
int verb_events(const struct options *options);
int verb_check(const struct options *options);
int verb_policy(const struct options *options);
int verb_version(const struct options *options);
int verb_help(const struct options *options);
