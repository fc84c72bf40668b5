/* What journalctl is asked for the past of agents; the contract stands in the header. */
#include "server/history-query.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "caged-limits.h"
#include "log.h"
#include "util.h"

bool history_time_is_sane(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= HISTORY_TIME_MAX &&
           strspn(text, HISTORY_TIME_CHARACTERS) == length;
}

#define IDS_MAX 4

#define NETWORK_FIELDS                                                                             \
    "--output-fields=CAGED_AGENT,CAGED_OWNER_UID,CAGED_INVOCATION_ID,CAGED_TIME_USEC,"             \
    "CAGED_RECORD,CAGED_REQUEST,CAGED_VERDICT,CAGED_METHOD,CAGED_HOST,CAGED_PORT,CAGED_ADDRESS,"   \
    "CAGED_RULE,CAGED_CODE,CAGED_COUNT,CAGED_BYTES_UP,CAGED_BYTES_DOWN,CAGED_DURATION_USEC"

/* Which entries each kind of history has, and what is said of each: enough to make a LogLine of it,
 * or an Event. Longer values than journalctl's usual limit are there for --all. */
static const struct {
    const char *fields, *identifier;
    const char *ids[IDS_MAX];
} kinds[] = {
    [HISTORY_OUTPUT] = {"--output-fields=MESSAGE,CAGED_INVOCATION_ID,CAGED_SEQUENCE,"
                        "CAGED_TIME_USEC,CAGED_STREAM,CAGED_PARTIAL",
                        "SYSLOG_IDENTIFIER=caged-agent",
                        {0}},
    [HISTORY_NETWORK] = {NETWORK_FIELDS,
                         "SYSLOG_IDENTIFIER=cagedd",
                         {LOG_ID_NETWORK_ALLOWED, LOG_ID_NETWORK_REFUSED, LOG_ID_NETWORK_HELD,
                          LOG_ID_NETWORK_ENDED}},
    [HISTORY_REFUSED] = {NETWORK_FIELDS, "SYSLOG_IDENTIFIER=cagedd", {LOG_ID_NETWORK_REFUSED}},
};
_Static_assert(ARRAY_SIZE(kinds) == HISTORY_KIND_COUNT, "a kind of history has no row");

static int add(struct history_arguments *a, const char *format, ...) PRINTF_LIKE(2, 3);

static int add(struct history_arguments *a, const char *format, ...)
{
    va_list arguments;
    size_t n = 0;

    while (a->words[n])
        n++;
    if (n == HISTORY_ARGUMENTS_MAX)
        return -E2BIG;
    va_start(arguments, format);
    int r = vasprintf(&a->words[n], format, arguments);
    va_end(arguments);
    if (r >= 0)
        return 0;
    a->words[n] = NULL;
    return -ENOMEM;
}

/* The path of this program as journald names it in _EXE: without what the kernel adds when an
 * upgrade has replaced the file. */
static int own_path(char *buffer, size_t size)
{
    static const char deleted[] = " (deleted)";
    ssize_t n = readlink("/proc/self/exe", buffer, size);

    if (n < 0)
        return negative_errno();
    if ((size_t)n >= size)
        return -ENAMETOOLONG;
    buffer[n] = 0;
    if ((size_t)n >= sizeof(deleted) && streq(buffer + n - (sizeof(deleted) - 1), deleted))
        buffer[(size_t)n - (sizeof(deleted) - 1)] = 0;
    return 0;
}

/* Any user may send the journal entries that name an agent and an owner, and might get a setuid
 * program to write what looks like one into the journal's socket. Fields that begin with an
 * underscore are journald's own word (systemd.journal-fields(7)): the sender was root, was this
 * program, and spoke the journal's own protocol. */
static int add_matches(struct history_arguments *a, const struct history_query *q)
{
    char path[PATH_MAX];
    int r = own_path(path, sizeof(path));

    if (r >= 0)
        r = add(a, "_EXE=%s", path);
    if (r >= 0)
        r = add(a, "_UID=0");
    if (r >= 0)
        r = add(a, "_TRANSPORT=journal");
    if (r >= 0)
        r = add(a, "%s", kinds[q->kind].identifier);
    for (size_t i = 0; r >= 0 && i < IDS_MAX && kinds[q->kind].ids[i]; i++)
        r = add(a, "MESSAGE_ID=%s", kinds[q->kind].ids[i]); /* any of them */
    if (r >= 0 && q->agent_id)
        r = add(a, "CAGED_AGENT=%s", q->agent_id);
    if (r >= 0 && q->owner >= 0)
        r = add(a, "CAGED_OWNER_UID=%jd", (intmax_t)q->owner);
    if (r >= 0 && q->invocation_id)
        r = add(a, "CAGED_INVOCATION_ID=%s", q->invocation_id);
    return r;
}

static int make(struct history_arguments *a, const struct history_query *q)
{
    const char *const fixed[] = {"journalctl", "--system", "--no-pager", "--quiet",
                                 "--all",      "--output", "json",       kinds[q->kind].fields};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(fixed); i++)
        r = add(a, "%s", fixed[i]);
    if (r >= 0 && q->since)
        r = add(a, "--since=%s", q->since);
    if (r >= 0 && q->until)
        r = add(a, "--until=%s", q->until);
    if (r >= 0 && q->lines >= 0)
        r = add(a, "--lines=%jd", (intmax_t)q->lines);
    return r < 0 ? r : add_matches(a, q);
}

int history_arguments_init(struct history_arguments *ret, const struct history_query *query)
{
    CLEANUP(history_arguments_deinit) struct history_arguments a = {};
    int r = make(&a, query);

    if (r < 0)
        return r;
    *ret = a;
    a = (struct history_arguments){};
    return 0;
}

void history_arguments_deinit(struct history_arguments *arguments)
{
    for (size_t i = 0; arguments->words[i]; i++)
        free(arguments->words[i]);
    *arguments = (struct history_arguments){};
}
