/* Starting caged-scan and taking in what it found. */
#include "agent/agent-scan.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "caged-limits.h"
#include "process/process.h"
#include "scan-proto.h"

#define SCAN_NAMESPACES (CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)
#define NSEC_PER_SEC INT64_C(1000000000)
#define USEC_PER_SEC UINT64_C(1000000)
#define OFFSET_LOOKS 8
#define QUICK_NSEC 20000

static const char not_started[] = "caged-scan could not be started";
static const char not_done[] = "caged-scan was ended before it was done";
static const char too_long[] = "it took too long, and was ended";

static int64_t now_nsec(clockid_t clock)
{
    struct timespec now = {};

    (void)clock_gettime(clock, &now);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* How far the clock is from the one that nobody sets. On a busy machine we may have to wait between
 * two looks, which would seem to be a clock that was set: so the quickest of some counts. */
static int64_t clock_offset(void)
{
    int64_t offset = 0, quickest = INT64_MAX;

    for (int i = 0; i < OFFSET_LOOKS && quickest > QUICK_NSEC; i++) {
        int64_t boot = now_nsec(CLOCK_BOOTTIME);
        int64_t real = now_nsec(CLOCK_REALTIME);
        int64_t took = now_nsec(CLOCK_BOOTTIME) - boot;

        if (took < quickest) {
            quickest = took;
            offset = real - boot;
        }
    }
    return offset;
}

/* The clock that the kernel takes the times of files from: up to a tick behind CLOCK_REALTIME. */
void agent_scan_set_start(struct agent_scan *scan)
{
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &scan->since);
    scan->clock_offset = clock_offset();
}

/* A clock that was set back in the meantime gives files times from before. */
static struct timespec start_by_present_clock(const struct agent_scan *scan)
{
    int64_t back = scan->clock_offset - clock_offset();
    int64_t since = scan->since.tv_sec * NSEC_PER_SEC + scan->since.tv_nsec;

    if (back > 0)
        since = since > back ? since - back : 0;
    return (struct timespec){since / NSEC_PER_SEC, since % NSEC_PER_SEC};
}

/* Sources before descriptors: while a process that was just started still has a copy of one, the
 * kernel goes on telling of it, and to a source that is gone (epoll(7), "Questions and answers").
 */
static void forget_process(struct agent_scan *scan)
{
    scan->exit_source = sd_event_source_disable_unref(scan->exit_source);
    scan->timer = sd_event_source_disable_unref(scan->timer);
    scan->pidfd = fd_close(scan->pidfd);
    scan->output = fd_close(scan->output);
    scan->tree = fd_close(scan->tree);
    scan->protected = fd_close(scan->protected);
}

void agent_scan_deinit(struct agent_scan *scan)
{
    process_end(scan->pidfd);
    forget_process(scan);
    planted_list_deinit(&scan->found);
}

/* The process has ended and cannot write any more; a pipe takes no more than there is room for. */
static void take_output(struct agent_scan *scan)
{
    AUTO_FREE char *data = malloc(SCAN_OUTPUT_MAX);
    size_t size = 0;
    ssize_t n = data ? 1 : 0;

    while (n > 0 && size < SCAN_OUTPUT_MAX) {
        n = read(scan->output, data + size, SCAN_OUTPUT_MAX - size);
        size += n > 0 ? (size_t)n : 0;
    }
    planted_list_parse(data, size, &scan->found);
}

static int on_scan_exit(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct agent *agent = user;
    struct agent_scan *scan = &agent->scan;
    int status;

    if (process_reap(scan->pidfd, &status) != 1)
        return 0;
    take_output(scan);
    if (WIFSIGNALED(status))
        scan->found.incomplete = scan->late ? too_long : not_done;
    else if (WEXITSTATUS(status) != 0)
        scan->found.incomplete = not_started;
    forget_process(scan);
    scan->state = AGENT_SCAN_OVER;
    agent_scan_over(agent);
    return 0;
}

static int on_time_over(sd_event_source *source, uint64_t usec, void *user)
{
    struct agent *agent = user;

    agent->scan.late = true;
    (void)process_signal(agent->scan.pidfd, SIGKILL);
    return 0;
}

static int set_timer(struct agent *agent, uint64_t seconds)
{
    struct agent_scan *scan = &agent->scan;

    scan->timer = sd_event_source_disable_unref(scan->timer);
    return sd_event_add_time_relative(agent->manager->event, &scan->timer, CLOCK_MONOTONIC,
                                      seconds * USEC_PER_SEC, 0, on_time_over, agent);
}

static int start_process(struct agent *agent, int output)
{
    const struct manager *manager = agent->manager;
    struct agent_scan *scan = &agent->scan;
    struct timespec since = start_by_present_clock(scan);
    char uid[16], gid[16], seconds[24], nanoseconds[24];
    char *arguments[] = {(char *)"caged-scan", uid, gid, seconds, nanoseconds, NULL};
    const int fds[SCAN_FD_COUNT] = {
        [0] = manager->null,
        [SCAN_FD_OUTPUT] = output,
        [2] = manager->null,
        [SCAN_FD_WORKSPACE] = scan->tree,
        [SCAN_FD_PROTECTED] = scan->protected >= 0 ? scan->protected : manager->null,
    };
    int entrances[CGROUP_CONTROLLER_COUNT + 1];
    AUTO_FD int unified = -EBADF;
    const struct process_spec spec = {
        .executable = manager->scan_executable,
        .name = arguments[0],
        .user = agent->owner,
        .arguments = arguments,
        .fds = fds,
        .n_fds = ARRAY_SIZE(fds),
        .clone_flags = SCAN_NAMESPACES,
        .netns_fd = netns_stock_empty(manager->netns),
        .cgroup_fd = agent->cgroup.was_killed ? -EBADF : agent->cgroup.unified_fd,
        .tasks_fds = entrances,
        .n_tasks_fds = ARRAY_SIZE(entrances),
    };
    pid_t pid;

    if (agent->cgroup.was_killed) {
        unified = openat(agent->cgroup.unified_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (unified < 0)
            return negative_errno();
    }
    memcpy(entrances, agent->cgroup.tasks, sizeof(agent->cgroup.tasks));
    entrances[CGROUP_CONTROLLER_COUNT] = unified;

    (void)snprintf(uid, sizeof(uid), "%u", agent->workspace.owner);
    (void)snprintf(gid, sizeof(gid), "%u", agent->workspace.group);
    (void)snprintf(seconds, sizeof(seconds), "%jd", (intmax_t)since.tv_sec);
    (void)snprintf(nanoseconds, sizeof(nanoseconds), "%ld", since.tv_nsec);
    return process_start(&spec, &pid, &scan->pidfd);
}

static int start(struct agent *agent)
{
    bool hurry = agent->manager->shutting_down;
    struct agent_scan *scan = &agent->scan;
    int ends[2];

    if (scan->tree < 0)
        return -EBADF;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return negative_errno();
    scan->output = ends[0];
    int r =
        fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? negative_errno() : start_process(agent, ends[1]);
    fd_close(ends[1]);
    if (r >= 0)
        r = sd_event_add_io(agent->manager->event, &scan->exit_source, scan->pidfd, EPOLLIN,
                            on_scan_exit, agent);
    if (r >= 0)
        r = set_timer(agent, hurry ? SCAN_SECONDS_SHUTDOWN : SCAN_SECONDS);
    if (r < 0)
        process_end(scan->pidfd);
    return r;
}

void agent_scan_start(struct agent *agent)
{
    struct agent_scan *scan = &agent->scan;

    if (start(agent) >= 0) {
        scan->state = AGENT_SCAN_RUNNING;
        return;
    }
    forget_process(scan);
    scan->found = (struct planted_list){.incomplete = not_started};
    scan->state = AGENT_SCAN_OVER;
}

void agent_scan_hurry(struct agent *agent)
{
    if (agent->scan.state == AGENT_SCAN_RUNNING && set_timer(agent, SCAN_SECONDS_SHUTDOWN) < 0)
        (void)on_time_over(NULL, 0, agent);
}
