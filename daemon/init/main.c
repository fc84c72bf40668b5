/* caged-init: builds one cage, starts the agent in it and stays as its PID 1.
 *
 * cagedd starts it as root in its cgroups and in fresh mount, PID, network, IPC and UTS namespaces,
 * with the descriptors of common/init-spec.h and nothing else. The order of everything is in
 * `build` below. Whatever fails is reported with the name of its step, and the process exits: since
 * it is PID 1, nothing of a half-built cage can outlive it.
 *
 * While it has privileges it reads the specification and the filter (sealed, from cagedd) and the
 * host's mounts, and nothing that a user could have written but the names of the workspace's
 * mount and, with the ids of the agent, the names at its top, what .git files say and what
 * configurations name (protect-git.c). Afterwards it reads the control socket alone. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "agent.h"
#include "caged-limits.h"
#include "drop.h"
#include "fd-io.h"
#include "message.h"
#include "reaper.h"
#include "root.h"
#include "userns.h"
#include "util.h"

struct cage {
    struct init_spec spec;
    struct sock_fprog filter; /* points into a mapping of INIT_FD_SECCOMP */
    int userns_fd;
    struct agent agent;
};

/* Whatever cagedd's own life left in this process: signals ignored or blocked, a umask, descriptors
 * beyond those agreed upon. */
static int clean_inheritance(struct failure *failure)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* SIGKILL and SIGSTOP refuse, and need not be reset */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)umask(022);
    if (close_range(INIT_FD_COUNT, ~0U, 0) < 0 ||
        close_range(3, INIT_FD_COUNT - 1, CLOSE_RANGE_CLOEXEC) < 0)
        return failure_set(failure, "descriptors", NULL, negative_errno());
    return 0;
}

static int read_spec(struct cage *cage, struct failure *failure)
{
    const char *why = "the memfd of the specification is not sealed or of a wrong size";
    const void *data;
    size_t size;
    int r = memfd_map_sealed(INIT_FD_SPEC, SPEC_SIZE_MAX, &data, &size);

    if (r >= 0)
        r = init_spec_parse(data, size, &cage->spec, &why);
    if (r < 0)
        return failure_set(failure, "spec", why, r);
    /* Numbers that no mount has are for others from here on. */
    if (close_range(INIT_FD_MOUNTS + (unsigned)cage->spec.n_mounts, ~0U, 0) < 0)
        return failure_set(failure, "descriptors", NULL, negative_errno());
    return 0;
}

static int read_filter(struct cage *cage, struct failure *failure)
{
    const void *data;
    size_t size;
    int r =
        memfd_map_sealed(INIT_FD_SECCOMP, BPF_MAXINSNS * sizeof(struct sock_filter), &data, &size);

    if (r >= 0 && size % sizeof(struct sock_filter) != 0)
        r = -EBADMSG;
    if (r < 0)
        return failure_set(failure, "seccomp", "the memfd of the filter", r);
    cage->filter.len = (unsigned short)(size / sizeof(struct sock_filter));
    cage->filter.filter = (struct sock_filter *)data;
    return 0;
}

/* A service may be spared by the kernel when memory is short, its agents not. Written with
 * CAP_SYS_RESOURCE this is also the least that they can choose. Who may not lower it (EACCES) has
 * more already. */
static int lose_memory_privilege(struct failure *failure)
{
    AUTO_FD int fd = open("proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || (write(fd, "0", 1) < 0 && errno != EACCES))
        return failure_set(failure, "oom_score_adj", NULL, negative_errno());
    return 0;
}

static int build_root(struct cage *cage, struct failure *failure)
{
    const struct id_maps ids = {.maps = {{0, (uint32_t)cage->spec.uid_base, CAGE_UIDS}},
                                .count = 1};
    int r = root_begin(&cage->spec, failure);

    if (r >= 0)
        r = lose_memory_privilege(failure);
    if (r < 0)
        return r;
    /* Its maker is root inside the cage, whom nobody ever is. */
    cage->userns_fd = userns_new((uid_t)cage->spec.uid_base, &ids, &ids);
    if (cage->userns_fd < 0)
        return failure_set(failure, "user namespace", "the cage's map", cage->userns_fd);

    const struct root root = {&cage->spec, cage->userns_fd, INIT_FD_WORKSPACE};
    r = root_fill(&root, failure);
    if (r >= 0)
        r = root_enter(failure);
    if (r >= 0 && unshare(CLONE_NEWCGROUP) < 0)
        r = failure_set(failure, "cgroup namespace", NULL, negative_errno());
    if (r >= 0 && sethostname(cage->spec.agent_id, strlen(cage->spec.agent_id)) < 0)
        r = failure_set(failure, "host name", cage->spec.agent_id, negative_errno());
    if (r >= 0 && cage->spec.terminal)
        r = agent_open_terminal(&cage->agent, &cage->spec, failure);
    return r;
}

static int become_reaper(struct cage *cage, struct failure *failure)
{
    const struct identity identity = {CAGE_INIT_UID, cage->userns_fd, CARD_OPEN_FILES_MIN,
                                      reaper_filter()};
    int r = reaper_prepare();

    if (r < 0)
        return failure_set(failure, "privileges", "PID 1's descriptors", r);
    r = drop_privileges(&identity, &failure->detail);
    return r < 0 ? failure_set(failure, "privileges", failure->detail, r) : 0;
}

/* The barrier stands as late as can be: all that is left to do is to let the agent's process
 * execute its command. Nobody in the cage has any privilege here. */
static int wait_for_go(struct failure *failure)
{
    int r = message_wait_go(INIT_FD_CONTROL);

    return r < 0 ? failure_set(failure, "barrier", "the control socket", r) : 0;
}

static int build(struct cage *cage, struct failure *failure)
{
    int r;

    if ((r = clean_inheritance(failure)) < 0 || (r = read_spec(cage, failure)) < 0 ||
        (r = read_filter(cage, failure)) < 0 || (r = build_root(cage, failure)) < 0)
        return r;
    r = agent_fork(&cage->agent, &cage->spec, cage->userns_fd, &cage->filter, failure);
    /* It waits for RCU, in which time the agent's process gives up its privileges. */
    if (r >= 0)
        r = root_detach_old(failure);
    if (r >= 0)
        r = become_reaper(cage, failure);
    if (r >= 0)
        r = wait_for_go(failure);
    if (r >= 0)
        r = agent_release(&cage->agent, &cage->spec, failure);
    return r;
}

/* Keeps nothing that PID 1 does not need: the specification holds secrets, and each page and
 * descriptor here is a cost of every cage. */
static void forget(struct cage *cage)
{
    (void)munmap((void *)cage->spec.data, cage->spec.size);
    (void)munmap(cage->filter.filter, cage->filter.len * sizeof(struct sock_filter));
    cage->userns_fd = fd_close(cage->userns_fd);
    for (int fd = INIT_FD_SPEC; fd < INIT_FD_MOUNTS + (int)cage->spec.n_mounts; fd++)
        (void)close(fd);
}

static int report_started(struct cage *cage, struct failure *failure)
{
    const int fds[] = {cage->agent.pidfd, cage->agent.terminal};
    int r = message_send_started(INIT_FD_CONTROL, fds, cage->agent.terminal >= 0 ? 2 : 1);

    agent_deinit(&cage->agent);
    return r < 0 ? failure_set(failure, "report", "the control socket", r) : 0;
}

int main(void)
{
    struct cage cage = {.userns_fd = -EBADF, .agent = AGENT_INIT};
    struct failure failure = {};
    int r = build(&cage, &failure);

    if (r >= 0) {
        forget(&cage);
        r = report_started(&cage, &failure);
    }
    if (r < 0) {
        (void)message_send_failed(INIT_FD_CONTROL, &failure, r);
        _exit(1);
    }
    _exit(reaper_run(INIT_FD_CONTROL, cage.agent.pid));
}
