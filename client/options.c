/* Command lines: one table of options, of which every verb accepts some. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>

#include "caged-limits.h"
#include "config.h"
#include "signals.h"

static const struct option_help table[] = {
    {OPTION_FOLLOW, 'f', "follow", NULL, "show the output until the agent ends"},
    {OPTION_WAIT, 'w', "wait", NULL, "wait until the agent ends, exit with its status"},
    {OPTION_TERMINAL, 't', "terminal", NULL, "give the agent a terminal"},
    {OPTION_ALL, 'a', "all", NULL, "all of them"},
    {OPTION_LINES, 'n', "lines", "N", "only the last N lines"},
    {OPTION_GRACE, 'g', "grace", "SECONDS", "time between SIGTERM and the end by force"},
    {OPTION_NO_WAIT, 0, "no-wait", NULL, "do not wait for the end"},
    {OPTION_SIGNAL, 's', "signal", "SIGNAL", "which signal, by name or number"},
    {OPTION_SINCE, 'S', "since", "TIME", "only lines from this time on, of all runs"},
    {OPTION_UNTIL, 'U', "until", "TIME", "only lines up to this time, of all runs"},
    {OPTION_OUTPUT, 'o', "output", "FORM", "how lines are shown: " LINE_FORMS},
    {OPTION_WATCH, 'f', "follow", NULL, "go on with what is recorded from now on"},
    {OPTION_DENIED, 'd', "denied", NULL, "only what was refused"},
    {OPTION_FORM, 'o', "output", "FORM", "how records are shown: short or json"},
    {OPTION_OWNER, 'u', "owner", "USER", "whose agent, where several users have the id"},
    {OPTION_ID, 0, "id", "ID", "refuse a card of another agent_id"},
    {OPTION_ASK, 0, "ask", "[=SECONDS]", "hold requests for unknown hosts until they are answered"},
    {OPTION_POLICY, 0, "policy", "FILE", "by the policy in this file, without a daemon"},
    {OPTION_AS, 0, "as", "USER", "for this user; without it for yourself"},
    {OPTION_DATA_DIR, 0, "data-dir", "DIR", "where presets and seccomp profiles are"},
    {OPTION_JSON, 'j', "json", NULL, "print JSON"},
    {OPTION_QUIET, 'q', "quiet", NULL, "print errors only"},
    {OPTION_SOCKET, 0, "socket", "PATH", "where cagedd listens"},
    {OPTION_HELP, 'h', "help", NULL, "print the help of this verb"},
};

bool option_help_get(size_t index, struct option_help *ret)
{
    if (index >= ARRAY_SIZE(table))
        return false;
    *ret = table[index];
    return true;
}

/* What getopt_long(3) wants, made of the rows that this verb accepts. It returns rows by
 * ROW_BASE plus their index, for letters by the letter. */
#define ROW_BASE 0x1000

struct getopt_tables {
    struct option longs[ARRAY_SIZE(table) + 1];
    char shorts[2 * ARRAY_SIZE(table) + 2];
};

static int argument_kind(const struct option_help *row)
{
    if (!row->argument)
        return no_argument;
    return row->argument[0] == '[' ? optional_argument : required_argument;
}

static void getopt_tables_fill(unsigned accepted, struct getopt_tables *ret)
{
    struct getopt_tables t = {};
    size_t n_longs = 0, n_shorts = 0;

    t.shorts[n_shorts++] = ':'; /* a missing argument is told apart from an unknown option */
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (!(table[i].bit & accepted))
            continue;
        t.longs[n_longs++] = (struct option){
            .name = table[i].name,
            .has_arg = argument_kind(&table[i]),
            .val = ROW_BASE + (int)i,
        };
        if (!table[i].letter)
            continue;
        t.shorts[n_shorts++] = table[i].letter;
        if (table[i].argument)
            t.shorts[n_shorts++] = ':';
    }
    *ret = t;
}

/* Of the rows that are accepted; some have the same letter. */
static const struct option_help *row_find(int value, unsigned accepted)
{
    if (value >= ROW_BASE)
        return &table[value - ROW_BASE];
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if ((table[i].bit & accepted) && table[i].letter && table[i].letter == value)
            return &table[i];
    return NULL;
}

static bool number_parse(const char *text, uint32_t max, uint32_t *ret)
{
    uint64_t n = 0;

    if (!*text)
        return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > max)
            return false;
    }
    *ret = (uint32_t)n;
    return true;
}

/* What the daemon takes; that it is a time, journalctl(1) will see. */
static bool time_is_sane(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= HISTORY_TIME_MAX &&
           strspn(text, HISTORY_TIME_CHARACTERS) == length;
}

static int refuse_value(const struct option_help *row, const char *value, const char *expected,
                        char *why, size_t size)
{
    (void)snprintf(why, size, "--%s wants %s, not '%s'", row->name, expected, value);
    return -EINVAL;
}

static int option_set(struct options *o, const struct option_help *row, const char *value,
                      char *why, size_t size)
{
    char expected[64];

    o->given |= row->bit;
    switch (row->bit) {
    case OPTION_LINES:
        if (!number_parse(value, INT32_MAX, &o->lines))
            return refuse_value(row, value, "a number of lines", why, size);
        break;
    case OPTION_GRACE:
        (void)snprintf(expected, sizeof(expected), "seconds from 0 to %d", AGENT_STOP_GRACE_MAX);
        if (!number_parse(value, AGENT_STOP_GRACE_MAX, &o->grace))
            return refuse_value(row, value, expected, why, size);
        break;
    case OPTION_ASK:
        (void)snprintf(expected, sizeof(expected), "seconds from 1 to %d", GATE_ASK_MAX);
        o->ask = GATE_ASK_DEFAULT;
        if (value && (!number_parse(value, GATE_ASK_MAX, &o->ask) || o->ask == 0))
            return refuse_value(row, value, expected, why, size);
        break;
    case OPTION_SIGNAL:
        if (signal_from_string(value, &o->signal) < 0)
            return refuse_value(row, value, "a signal such as TERM or 15", why, size);
        break;
    case OPTION_OWNER:
        if (!*value)
            return refuse_value(row, value, "a user", why, size);
        o->owner = value;
        break;
    case OPTION_ID:
        if (!*value)
            return refuse_value(row, value, "the id of an agent", why, size);
        o->id = value;
        break;
    case OPTION_POLICY:
        if (!*value)
            return refuse_value(row, value, "the file of a policy", why, size);
        o->policy = value;
        break;
    case OPTION_AS:
        if (!*value)
            return refuse_value(row, value, "a user", why, size);
        o->as = value;
        break;
    case OPTION_DATA_DIR:
        if (!*value)
            return refuse_value(row, value, "a folder", why, size);
        o->data_dir = value;
        break;
    case OPTION_SINCE:
    case OPTION_UNTIL:
        if (!time_is_sane(value))
            return refuse_value(row, value, "a time as in systemd.time(7)", why, size);
        *(row->bit == OPTION_SINCE ? &o->since : &o->until) = value;
        break;
    case OPTION_OUTPUT:
        if (line_form_from_string(value, &o->form) < 0)
            return refuse_value(row, value, LINE_FORMS, why, size);
        break;
    case OPTION_FORM:
        if (line_form_from_string(value, &o->form) < 0 || o->form == LINE_CAT)
            return refuse_value(row, value, "short or json", why, size);
        break;
    case OPTION_SOCKET:
        if (!*value)
            return refuse_value(row, value, "a path", why, size);
        o->socket = value;
        break;
    default:
        break;
    }
    return 0;
}

/* The word that getopt_long(3) stumbled over. */
static int refuse_option(int result, char **argv, const struct verb *verb, char *why, size_t size)
{
    const char *what = result == ':' ? "an argument is missing after" : "unknown option";

    if (optopt && optopt < ROW_BASE)
        (void)snprintf(why, size, "%s '-%c' for '%s'", what, optopt, verb->name);
    else
        (void)snprintf(why, size, "%s '%s' for '%s'", what, argv[optind - 1], verb->name);
    return -EINVAL;
}

static int arguments_check(const struct options *o, const struct verb *verb, char *why, size_t size)
{
    if (o->n_arguments < verb->min_arguments) {
        (void)snprintf(why, size, "'%s' needs %s", verb->name, verb->missing);
        return -EINVAL;
    }
    if (o->n_arguments > verb->max_arguments) {
        (void)snprintf(why, size, "unexpected argument '%s'%s", o->arguments[verb->max_arguments],
                       verb->takes_rest ? " (what is for the agent comes after '--')" : "");
        return -EINVAL;
    }
    return 0;
}

/* `end` is the index of the first `--`, or argc. getopt_long(3) sees only what stands before it:
 * it would move the words, and one could not tell any more which were the agent's. */
static int arguments_collect(int argc, char **argv, int end, const struct verb *verb,
                             struct options *o)
{
    o->arguments = calloc((size_t)argc, sizeof(*o->arguments));
    if (!o->arguments)
        return -ENOMEM;
    for (int i = optind; i < end; i++)
        o->arguments[o->n_arguments++] = argv[i];
    if (verb->takes_rest) {
        o->rest = argv + MIN_OF(end + 1, argc);
        o->n_rest = (size_t)(argc - MIN_OF(end + 1, argc));
        return 0;
    }
    for (int i = end + 1; i < argc; i++)
        o->arguments[o->n_arguments++] = argv[i];
    return 0;
}

int options_parse(int argc, char **argv, const struct verb *verb, struct options *ret, char *why,
                  size_t why_size)
{
    struct options o = {
        .verb = verb, .socket = getenv(SOCKET_PATH_VARIABLE), .data_dir = CAGED_DATA_DIR};
    struct getopt_tables tables;
    unsigned accepted = verb->options | OPTION_HELP;
    int c, end = 1, r;

    if (!o.socket || !*o.socket)
        o.socket = SOCKET_PATH_DEFAULT;
    while (end < argc && !streq(argv[end], "--"))
        end++;
    getopt_tables_fill(accepted, &tables);
    optind = 0; /* glibc: forget an earlier command line */
    opterr = 0;
    while ((c = getopt_long(end, argv, tables.shorts, tables.longs, NULL)) >= 0) {
        const struct option_help *row = c == '?' || c == ':' ? NULL : row_find(c, accepted);
        if (!row)
            return refuse_option(c, argv, verb, why, why_size);
        r = option_set(&o, row, optarg, why, why_size);
        if (r < 0)
            return r;
    }
    r = arguments_collect(argc, argv, end, verb, &o);
    if (r == 0 && !option_given(&o, OPTION_HELP))
        r = arguments_check(&o, verb, why, why_size);
    if (r < 0) {
        options_deinit(&o);
        return r;
    }
    *ret = o;
    return 0;
}

void options_deinit(struct options *options)
{
    free(TAKE_PTR(options->arguments));
    options->n_arguments = 0;
}
