/* The past of agents, read by journalctl(1): the process that reads, and the one before it. The
 * words that it is asked in are in history-query.c. */
#include "server/history.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "caged-limits.h"
#include "log.h"
#include "manager.h"
#include "process/process.h"

#define COMPLAINT_MAX 512  /* what is kept of journalctl's standard error */
#define COMPLAINT_READS 16 /* at the end: a pipe full */
#define LOOK_USEC (20 * 1000)

struct history {
    LIST_ENTRY(history) entry;
    struct manager *manager;
    uid_t caller;
    history_done done; /* NULL: nobody wants to know */
    void *user;
    struct history_arguments arguments; /* of the process that reads */
    int output;                         /* until that one has it */
    uint64_t mark;                      /* of what was logged before */
    uint64_t looks;                     /* how often that was looked after */
    int slot;                           /* whose uid it has; negative: none */
    bool reading;
    const char *failure; /* what we know better than the process */
    int pidfd;           /* of the process under way */
    int complaints;      /* its standard error */
    char complaint[COMPLAINT_MAX];
    size_t n_complaint;
    sd_event_source *exit_source, *complaint_source, *timer;
};

size_t history_count(const struct manager *manager, const uid_t *uid)
{
    const struct history *history;
    size_t n = 0;

    LIST_FOREACH (history, &manager->histories, entry)
        n += !uid || history->caller == *uid;
    return n;
}

/* -- the process under way -- */

static void forget_process(struct history *h)
{
    h->exit_source = sd_event_source_disable_unref(h->exit_source);
    h->complaint_source = sd_event_source_disable_unref(h->complaint_source);
    h->timer = sd_event_source_disable_unref(h->timer);
    h->pidfd = fd_close(h->pidfd);
    h->complaints = fd_close(h->complaints);
}

static struct history *history_free(struct history *h)
{
    forget_process(h);
    fd_close(h->output);
    uid_ranges_release(&h->manager->ranges, h->slot);
    history_arguments_deinit(&h->arguments);
    LIST_REMOVE(h, entry);
    free(h);
    return NULL;
}

/* The last step: reports, unless nobody wants to know. */
static void finish(struct history *h, int error, const char *why)
{
    history_done done = h->done;
    char text[COMPLAINT_MAX];

    (void)snprintf(text, sizeof(text), "%s", why);
    void *user = h->user;
    history_free(h);
    if (done)
        done(user, error, text);
}

/* One read: keeps the beginning of what the process complains about and drops the rest, so that it
 * is not held up. 0 or -errno, -EPIPE at the end. */
static int read_complaints(struct history *h)
{
    char buffer[4096];
    ssize_t n = read(h->complaints, buffer, sizeof(buffer));

    if (n <= 0)
        return n < 0 ? negative_errno() : -EPIPE;
    size_t kept = MIN_OF((size_t)n, sizeof(h->complaint) - 1 - h->n_complaint);
    memcpy(h->complaint + h->n_complaint, buffer, kept);
    h->n_complaint += kept;
    return 0;
}

static int on_complaint(sd_event_source *source, int fd, uint32_t events, void *user)
{
    int r = read_complaints(user);

    return r == 0 || r == -EAGAIN ? 0 : sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* Its last words, or how it ended. */
static const char *explain(struct history *h, int status, char *buffer, size_t size)
{
    const char *what = h->reading ? "journalctl" : "journalctl --sync";

    for (size_t i = 0; i < COMPLAINT_READS && read_complaints(h) == 0; i++)
        ;
    while (h->n_complaint > 0 && h->complaint[h->n_complaint - 1] == '\n')
        h->n_complaint--;
    h->complaint[h->n_complaint] = 0;
    if (h->failure)
        return h->failure;
    if (h->n_complaint > 0 && strlen(h->complaint) == h->n_complaint)
        return h->complaint;
    if (WIFSIGNALED(status))
        (void)snprintf(buffer, size, "%s was ended by signal %d", what, WTERMSIG(status));
    else if (WEXITSTATUS(status) == PROCESS_NOT_STARTED)
        (void)snprintf(buffer, size, "%s could not be executed", what);
    else
        (void)snprintf(buffer, size, "%s ended with status %d", what, WEXITSTATUS(status));
    return buffer;
}

const char *history_why_not_started(int error)
{
    return error == -EUSERS
               ? "all " STRINGIFY(
                     AGENTS_MAX) " uid ranges of agents, containers and "
                                 "readers of past output are taken; try again when some have ended"
               : process_why_not_started(error);
}

static int start_reading(struct history *h);

static int on_process_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct history *h = user;
    char buffer[64];
    int status;

    if (process_reap(h->pidfd, &status) != 1)
        return 0;
    if (!h->done) {
        history_free(h);
        return 0;
    }
    bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const char *why = ended_well ? "" : explain(h, status, buffer, sizeof(buffer));
    if (!ended_well || h->reading) {
        finish(h, ended_well ? 0 : -EIO, why);
        return 0;
    }
    forget_process(h);
    int r = start_reading(h);
    if (r < 0)
        finish(h, r, history_why_not_started(r));
    return 0;
}

/* Starts journalctl as found now: an upgrade of systemd replaces it with the libraries it needs. */
static int start_process(struct history *h, char *const *arguments, int output,
                         const struct process_drop *drop)
{
    AUTO_FD int executable = open(HISTORY_PROGRAM, O_PATH | O_CLOEXEC);
    int complaints[2];
    pid_t pid;

    if (executable < 0)
        return negative_errno();
    if (pipe2(complaints, O_CLOEXEC | O_NONBLOCK) < 0)
        return negative_errno();
    h->complaints = complaints[0];
    const int fds[] = {h->manager->null, output, complaints[1]};
    const struct process_spec spec = {
        .executable = executable,
        .name = "journalctl",
        .user = h->caller,
        .arguments = arguments,
        .drop = drop,
        .fds = fds,
        .n_fds = ARRAY_SIZE(fds),
        .netns_fd = -EBADF,
        .cgroup_fd = -EBADF,
    };
    h->n_complaint = 0;
    int r = process_start(&spec, &pid, &h->pidfd);
    fd_close(complaints[1]);
    if (r >= 0)
        r = sd_event_add_io(h->manager->event, &h->complaint_source, h->complaints, EPOLLIN,
                            on_complaint, h);
    if (r >= 0)
        r = sd_event_add_io(h->manager->event, &h->exit_source, h->pidfd, EPOLLIN, on_process_exit,
                            h);
    if (r < 0)
        process_end(h->pidfd);
    return r;
}

/* It writes to its pipe alone, and can neither take the machine's memory nor start anything. */
static const struct process_limit limits[] = {
    {RLIMIT_CORE, 0},
    {RLIMIT_FSIZE, 0},
    {RLIMIT_NPROC, 4}, /* it forks to work with another time zone */
    {RLIMIT_DATA, HISTORY_MEMORY_MAX},
    {RLIMIT_NOFILE, HISTORY_FILES_MAX},
};

#define NICE 10

static int start_reading(struct history *h)
{
    h->slot = uid_ranges_claim(&h->manager->ranges);
    if (h->slot < 0)
        return h->slot;
    const struct process_drop drop = {
        .uid = uid_range_base(h->slot) + CAGE_GATE_OFFSET,
        .gid = h->manager->journal_group,
        .nice = NICE,
        .limits = limits,
        .n_limits = ARRAY_SIZE(limits),
    };
    h->reading = true;
    h->failure = NULL;
    int r = start_process(h, h->arguments.words, h->output, &drop);
    h->output = fd_close(h->output);
    return r;
}

/* -- before it: what the journal is still to get -- */

#define LATE                                                                                       \
    "journald did not take in what was logged before within " STRINGIFY(                           \
        HISTORY_SYNC_TIMEOUT) " seconds"

static int on_timeout(sd_event_source *source, uint64_t usec, void *user)
{
    struct history *h = user;

    h->failure = LATE;
    (void)process_signal(h->pidfd, SIGKILL);
    return 0;
}

static int set_timer(struct history *h, uint64_t usec, sd_event_time_handler_t handler)
{
    h->timer = sd_event_source_disable_unref(h->timer);
    return sd_event_add_time_relative(h->manager->event, &h->timer, CLOCK_MONOTONIC, usec, 0,
                                      handler, h);
}

/* journald works asynchronously: only then is what it was sent in its files. Its socket for this is
 * root's. */
static int start_syncing(struct history *h)
{
    char *arguments[] = {(char *)"journalctl", (char *)"--sync", NULL};
    const struct process_drop drop = {.limits = limits, .n_limits = ARRAY_SIZE(limits)};
    int r = set_timer(h, HISTORY_SYNC_TIMEOUT * UINT64_C(1000000), on_timeout);

    return r < 0 ? r : start_process(h, arguments, h->manager->null, &drop);
}

static int flush(struct history *h);

static int on_look(sd_event_source *source, uint64_t usec, void *user)
{
    struct history *h = user;
    bool late = ++h->looks > HISTORY_SYNC_TIMEOUT * UINT64_C(1000000) / LOOK_USEC;
    int r = late ? -ETIMEDOUT : flush(h);

    if (r < 0)
        finish(h, r, late ? LATE : history_why_not_started(r));
    return 0;
}

/* What this daemon has not even sent to journald yet. */
static int flush(struct history *h)
{
    return log_mark_is_written(h->mark) ? start_syncing(h) : set_timer(h, LOOK_USEC, on_look);
}

int history_start(struct manager *manager, uid_t caller, const struct history_query *query,
                  int output, history_done done, void *user, struct history **ret)
{
    struct history *h = malloc(sizeof(*h));
    int r;

    if (!h) {
        fd_close(output);
        return -ENOMEM;
    }
    *h = (struct history){
        .manager = manager,
        .caller = caller,
        .done = done,
        .user = user,
        .output = output,
        .mark = log_mark(),
        .slot = -1,
        .pidfd = -EBADF,
        .complaints = -EBADF,
    };
    LIST_INSERT_HEAD(&manager->histories, h, entry);
    r = history_arguments_init(&h->arguments, query);
    if (r >= 0)
        r = flush(h);
    if (r < 0) {
        history_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

struct history *history_abandon(struct history *h)
{
    if (!h)
        return NULL;
    if (h->pidfd < 0)
        return history_free(h);
    h->done = NULL;
    (void)process_signal(h->pidfd, SIGKILL);
    return NULL;
}

void history_end_all(struct manager *manager)
{
    struct history *h;

    while ((h = LIST_FIRST(&manager->histories))) {
        if (h->pidfd >= 0)
            (void)process_signal(h->pidfd, SIGKILL);
        history_free(h);
    }
}
