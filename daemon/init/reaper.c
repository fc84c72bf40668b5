/* What PID 1 does while the agent lives: it waits for children and for the end of the control
 * socket, and nothing else. cagedd sends signals to the agent itself, through its pidfd. */
#include "reaper.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "message.h"
#include "native.h"
#include "util.h"

#define ALLOW(number)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                           \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Much less than the profile of the agent. What is not listed fails and PID 1 exits, which ends
 * the cage. On x86-64 the x32 numbers differ from all of these, so they are refused too. */
static const struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCHITECTURE, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(SYS_ppoll),
    ALLOW(SYS_wait4),
    ALLOW(SYS_read),
    ALLOW(SYS_write),
    ALLOW(SYS_sendto),
    ALLOW(SYS_sendmsg),
    ALLOW(SYS_recvfrom),
    ALLOW(SYS_recvmsg),
    ALLOW(SYS_shutdown),
    ALLOW(SYS_close),
    ALLOW(SYS_munmap),
    ALLOW(SYS_prctl),
    ALLOW(SYS_rt_sigprocmask),
    ALLOW(SYS_rt_sigreturn),
    ALLOW(SYS_restart_syscall),
    ALLOW(SYS_exit_group),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
};

const struct sock_fprog *reaper_filter(void)
{
    static const struct sock_fprog program = {
        .len = ARRAY_SIZE(filter),
        .filter = (struct sock_filter *)filter,
    };

    return &program;
}

static void wake(int signal)
{
}

int reaper_prepare(void)
{
    const struct sigaction action = {.sa_handler = wake, .sa_flags = SA_NOCLDSTOP};
    sigset_t child;

    /* Blocked but while it waits in ppoll(2), so that no death falls between looking and
     * waiting. */
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &child, NULL) < 0 || sigaction(SIGCHLD, &action, NULL) < 0)
        return negative_errno();

    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return negative_errno();
    for (int fd = 0; fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            return negative_errno();
    return 0;
}

int reaper_run(int control, pid_t agent)
{
    static const struct timespec now;
    struct pollfd end = {.fd = control, .events = POLLIN};
    sigset_t none;
    int status;

    (void)sigemptyset(&none);
    for (;;) {
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == agent)
            return message_send_exited(control, status) < 0 ? 1 : 0;
        /* Looks at the socket after each of the dead: orphans may die without end, and must not
         * keep the cage. */
        int n = ppoll(&end, 1, pid > 0 ? &now : NULL, &none);
        /* cagedd has nothing to say any more: both a message and the end are the end. */
        if (n > 0 || (n < 0 && errno != EINTR))
            return 1;
    }
}
