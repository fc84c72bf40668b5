/* Starts caged-init the way cagedd does, for tests of caged-init alone:
 *
 *     launch-init CAGED-INIT CONTROL SPEC STDOUT STDERR WORKSPACE PROFILE [FOLDER...]
 *
 * CONTROL, SPEC, STDOUT and STDERR are numbers of inherited descriptors, WORKSPACE is a folder,
 * PROFILE a seccomp profile to compile, or the number of a descriptor that is passed as it is;
 * each FOLDER is one to be mounted as the specification says.
 * Prints the new process's pid and, when it has ended, its wait status. */
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../daemon/process/seccomp-profile.h"
#include "caged-limits.h"
#include "init-spec.h"
#include "util.h"

#define FLAGS (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static int fail(const char *what)
{
    perror(what);
    return 1;
}

/* What cagedd's network does for every cage: without it nothing could even be refused there. */
static int raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static int seccomp_open(const char *profile)
{
    char *why = NULL, *end;
    size_t instructions;
    int fd = (int)strtol(profile, &end, 10);

    if (*end == 0)
        return fd;
    if (seccomp_profile_compile(profile, &fd, &instructions, &why) < 0) {
        fprintf(stderr, "%s: %s\n", profile, why ? why : "out of memory");
        return -1;
    }
    return fd;
}

/* Moves them out of the way first: a number may be another's place. */
static int place_descriptors(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
        if (fds[i] < 0)
            return -1;
    }
    for (int i = 0; i < n; i++)
        if (dup2(fds[i], i) < 0)
            return -1;
    return 0;
}

static int clone_mount(const char *folder)
{
    return open_tree(AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

int main(int argc, char **argv)
{
    char *none[] = {NULL}, *arguments[] = {(char *)"caged-init", NULL};
    struct clone_args args = {.flags = FLAGS, .exit_signal = SIGCHLD};
    int status;

    if (argc < 8 || argc > 8 + CARD_MOUNTS_MAX)
        return 2;
    int fds[INIT_FD_COUNT] = {open("/dev/null", O_RDWR | O_CLOEXEC),
                              number(argv[4]),
                              number(argv[5]),
                              number(argv[2]),
                              number(argv[3]),
                              clone_mount(argv[6]),
                              seccomp_open(argv[7]),
                              open("/dev/null", O_RDWR | O_CLOEXEC)};
    int n_fds = INIT_FD_MOUNTS;

    if (fds[INIT_FD_WORKSPACE] < 0 || fds[INIT_FD_SECCOMP] < 0)
        return fail("open_tree or seccomp");
    for (int i = 8; i < argc; i++)
        if ((fds[n_fds++] = clone_mount(argv[i])) < 0)
            return fail(argv[i]);

    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return fail("clone3");
    if (pid == 0) {
        if (raise_loopback() < 0 || place_descriptors(fds, n_fds) < 0)
            _exit(fail("descriptors"));
        (void)execve(argv[1], arguments, none);
        _exit(fail(argv[1]));
    }
    /* Nothing of the cage's may be held open here. */
    for (int fd = 3; fd < 64; fd++)
        (void)close(fd);
    printf("%d\n", (int)pid);
    (void)fflush(stdout);
    if (waitpid(pid, &status, 0) < 0)
        return fail("waitpid");
    printf("%d\n", status);
    return 0;
}
