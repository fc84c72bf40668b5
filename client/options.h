/* Command lines of cagectl, apart from main() so that they are unit-tested. Pure but for
 * getopt_long(3)'s own state and one allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "line-form.h"
#include "util.h"
#include "verb.h"

#define SOCKET_PATH_DEFAULT "/run/caged/caged.sock"
#define SOCKET_PATH_VARIABLE "CAGED_SOCKET"

enum option_bit {
    OPTION_JSON = 1 << 0,
    OPTION_QUIET = 1 << 1,
    OPTION_SOCKET = 1 << 2,
    OPTION_FOLLOW = 1 << 3,
    OPTION_WAIT = 1 << 4,
    OPTION_TERMINAL = 1 << 5,
    OPTION_ALL = 1 << 6,
    OPTION_LINES = 1 << 7,
    OPTION_GRACE = 1 << 8,
    OPTION_SIGNAL = 1 << 9,
    OPTION_NO_WAIT = 1 << 10,
    OPTION_OWNER = 1 << 11,
    OPTION_HELP = 1 << 12, /* every verb has it */
    OPTION_SINCE = 1 << 13,
    OPTION_UNTIL = 1 << 14,
    OPTION_OUTPUT = 1 << 15,
    OPTION_ID = 1 << 20,
    OPTION_WATCH = 1 << 21, /* -f of audit */
    OPTION_FORM = 1 << 22,  /* -o of audit */
    OPTION_DENIED = 1 << 23,
    OPTION_ASK = 1 << 24,
    OPTION_POLICY = 1 << 25,
    OPTION_AS = 1 << 26,
    OPTION_DATA_DIR = 1 << 27,
};

struct options {
    const struct verb *verb;
    unsigned given;       /* bits of enum option_bit */
    const char *socket;   /* never NULL */
    uint32_t lines;       /* with OPTION_LINES */
    uint32_t grace;       /* seconds, with OPTION_GRACE */
    uint32_t ask;         /* likewise, with OPTION_ASK */
    int signal;           /* with OPTION_SIGNAL: 1 to SIGRTMAX */
    const char *owner;    /* with OPTION_OWNER: as given, not empty */
    const char *id;       /* with OPTION_ID: as given, not empty */
    const char *policy;   /* with OPTION_POLICY: as given, not empty */
    const char *as;       /* with OPTION_AS, likewise; else NULL */
    const char *data_dir; /* never NULL: what is installed */
    const char *since;    /* with OPTION_SINCE, as given; likewise `until` */
    const char *until;
    enum line_form form; /* with OPTION_OUTPUT or OPTION_FORM */
    char **arguments;    /* this array is ours, its strings are argv's */
    size_t n_arguments;
    char **rest; /* what follows `--`, for a verb that takes it: part of argv */
    size_t n_rest;
};

/* For help texts: the rows of the table. False when there is no row `index`. */
struct option_help {
    unsigned bit;
    char letter; /* 0: none */
    const char *name;
    const char *argument; /* NULL: none; "[=X]": it may be left out */
    const char *help;
};
bool option_help_get(size_t index, struct option_help *ret);

/* Parses what follows the program's name: argv[0] is the verb. 0 with options for
 * options_deinit(); -EINVAL with a sentence about what is wrong in `why`; -ENOMEM. With
 * OPTION_HELP given, arguments are not counted. */
int options_parse(int argc, char **argv, const struct verb *verb, struct options *ret, char *why,
                  size_t why_size);
void options_deinit(struct options *options);

static inline bool option_given(const struct options *options, enum option_bit bit)
{
    return options->given & bit;
}
