/* The agent's process.
 *
 * Parent and child share a socket pair, the rendezvous. The child drops its privileges and waits
 * there for one byte, which the parent sends when it has dropped its own and cagedd has said GO: so
 * no command of the agent ever runs beside a privileged process of the cage. Then the child
 * executes the command, which closes its end: end of file is success. If anything has failed it
 * writes a report instead. */
#include "agent.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "caged-limits.h"
#include "drop.h"
#include "root-files.h"
#include "util.h"

/* From child to parent; `what` is a static text, and both have the same program in memory. */
struct report {
    int error;
    const char *step;
    const char *what; /* NULL: the command */
};

void agent_deinit(struct agent *agent)
{
    agent->pidfd = fd_close(agent->pidfd);
    agent->terminal = fd_close(agent->terminal);
    agent->slave = fd_close(agent->slave);
    agent->rendezvous = fd_close(agent->rendezvous);
}

/* The slave's owner is who opens the master (devpts); its group is the mount's gid=. */
static int open_pair(struct agent *agent, const struct init_spec *spec)
{
    const struct winsize size = {.ws_row = (unsigned short)spec->terminal_rows,
                                 .ws_col = (unsigned short)spec->terminal_columns};
    int unlock = 0;
    AUTO_FD int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
        ioctl(master, TIOCSWINSZ, &size) < 0)
        return negative_errno();
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return negative_errno();
    agent->terminal = TAKE_FD(master);
    agent->slave = slave;
    return 0;
}

int agent_open_terminal(struct agent *agent, const struct init_spec *spec, struct failure *failure)
{
    int r = root_act_as((uid_t)spec->uid_base + CAGE_AGENT_UID);

    if (r >= 0)
        r = open_pair(agent, spec);
    if (r >= 0)
        r = root_act_as(0);
    return r < 0 ? failure_set(failure, "terminal", "/dev/ptmx", r) : 0;
}

/* Lets whoever has the output pipes open them anew for writing, as scripts do by /dev/stdout: they
 * are the daemon's, and the agent is a stranger to it. Not for reading, though, so that no output
 * can be taken back. */
static int child_open_pipes(void)
{
    struct stat st;

    for (int fd = 1; fd <= 2; fd++) {
        if (fstat(fd, &st) < 0)
            return negative_errno();
        if (S_ISFIFO(st.st_mode) && fchmod(fd, 0622) < 0)
            return negative_errno();
    }
    return 0;
}

/* A session of its own, with the terminal as its controlling one if there is one. Without, only
 * 0 is replaced: it came from the host's /dev. */
static int child_set_streams(const struct agent *agent)
{
    if (setsid() < 0)
        return negative_errno();
    if (agent->slave >= 0) {
        if (ioctl(agent->slave, TIOCSCTTY, 0) < 0)
            return negative_errno();
        for (int fd = 0; fd <= 2; fd++)
            if (dup2(agent->slave, fd) < 0)
                return negative_errno();
        return 0;
    }
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0)
        return negative_errno();
    return child_open_pipes();
}

static int child_prepare(const struct agent *agent, const struct identity *identity,
                         struct report *report)
{
    int r;

    *report = (struct report){.step = "streams", .what = "stdin, stdout, stderr"};
    r = child_set_streams(agent);
    if (r < 0)
        return r;
    report->step = "privileges";
    r = drop_privileges(identity, &report->what);
    if (r < 0)
        return r;
    /* As the agent, so that what it may not enter is not entered for it. */
    *report = (struct report){.step = "workspace", .what = CAGE_WORKSPACE};
    return chdir(CAGE_WORKSPACE) < 0 ? negative_errno() : 0;
}

static int child_execute(const struct init_spec *spec, struct report *report)
{
    char *arguments[CARD_COMMAND_MAX + 1], *environment[SPEC_ENVIRONMENT_MAX + 1];

    *report = (struct report){.step = "command"};
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return negative_errno();

    init_spec_strings(spec, INIT_SPEC_ARGUMENT, arguments);
    init_spec_strings(spec, INIT_SPEC_ENVIRONMENT, environment);
    environ = environment; /* execvp(3) looks for PATH there */
    (void)execvp(arguments[0], arguments);
    return negative_errno();
}

static NORETURN void child_run(const struct agent *agent, const struct init_spec *spec,
                               const struct identity *identity, int rendezvous)
{
    struct report report;
    char released;
    int r = child_prepare(agent, identity, &report);

    /* Waits even if it has failed: a socket that is closed with a message unread makes its peer
     * lose what it has not read either (ECONNRESET, unix(7)). */
    if (read(rendezvous, &released, 1) != 1)
        _exit(127);
    if (r >= 0)
        r = child_execute(spec, &report);
    report.error = r;
    (void)send(rendezvous, &report, sizeof(report), MSG_NOSIGNAL);
    _exit(127);
}

int agent_fork(struct agent *agent, const struct init_spec *spec, int userns_fd,
               const struct sock_fprog *filter, struct failure *failure)
{
    const struct identity identity = {CAGE_AGENT_UID, userns_fd, spec->max_open_files, filter};
    int pair[2], pidfd = -EBADF;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return failure_set(failure, "agent", "socketpair", negative_errno());
    struct clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        child_run(agent, spec, &identity, pair[1]);

    int r = pid < 0 ? negative_errno() : 0;
    fd_close(pair[1]);
    agent->rendezvous = pair[0];
    agent->slave = fd_close(agent->slave);
    agent->pidfd = pidfd;
    agent->pid = (pid_t)pid;
    return r < 0 ? failure_set(failure, "agent", "clone3", r) : 0;
}

int agent_release(struct agent *agent, const struct init_spec *spec, struct failure *failure)
{
    struct report report;
    ssize_t n;

    if (send(agent->rendezvous, "", 1, MSG_NOSIGNAL) < 0)
        return failure_set(failure, "agent", "the child's process", negative_errno());
    do
        n = read(agent->rendezvous, &report, sizeof(report));
    while (n < 0 && errno == EINTR);
    agent->rendezvous = fd_close(agent->rendezvous);

    if (n == 0)
        return 0;
    if (n != sizeof(report) || report.error >= 0)
        return failure_set(failure, "agent", "the report of the child", -EBADMSG);
    return failure_set(failure, report.step, report.what ? report.what : spec->command,
                       report.error);
}
