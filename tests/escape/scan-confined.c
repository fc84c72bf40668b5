/* What could caged-scan do if it were taken over by the names that an agent left? This links its
 * own confinement and, for each attempt in a process of its own, enters it and tries:
 *
 *     scan-confined UID GID WORKSPACE
 *
 * Each line of the output is an attempt and what came of it: "SIGSYS", "ok", an error's name;
 * test_scan_confinement.py knows what it has to be. Every call that there may be is made once by
 * its number, unless it is one of those that a caged-scan needs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/scan/confine.h"
#include "daemon/scan/walk.h"
#include "util.h"

static const long needed[] = {SYS_statx,      SYS_getdents64, SYS_close, SYS_clock_gettime,
                              SYS_exit_group, SYS_openat,     SYS_write};

/* uretprobe and uprobe of x86-64: no filter is asked about them (kernel/seccomp.c). */
#define PROBE_FIRST 335
#define PROBE_LAST 336
#define LAST_CALL 1023          /* Linux has some 470 now */
#define OTHER_TABLE 0x40000000L /* of x86-64: where the calls of x32 begin */

static uid_t uid;
static gid_t gid;
static const char *workspace;

struct attempt {
    const char *name;
    long number, a, b, c, d;
};

#define PATH(text) (long)(text)
#define FOLDER_FLAGS WALK_OPEN_FLAGS

static char buffer[4096];

static const struct attempt attempts[] = {
    {"list-root", SYS_openat, AT_FDCWD, PATH("/"), FOLDER_FLAGS},
    {"list-folder", SYS_openat, AT_FDCWD, PATH("folder"), FOLDER_FLAGS},
    {"list-above", SYS_openat, AT_FDCWD, PATH("../../../.."), FOLDER_FLAGS}, /* is the root */
    {"list-etc", SYS_openat, AT_FDCWD, PATH("/etc"), FOLDER_FLAGS},
    {"list-above-etc", SYS_openat, AT_FDCWD, PATH("../../../../etc"), FOLDER_FLAGS},
    {"list-link", SYS_openat, AT_FDCWD, PATH("link"), FOLDER_FLAGS},
    {"list-secret", SYS_openat, AT_FDCWD, PATH("secret"), FOLDER_FLAGS},
    {"see-etc", SYS_statx, AT_FDCWD, PATH("/etc/passwd"), 0, STATX_SIZE},
    {"read-file", SYS_openat, AT_FDCWD, PATH("file"), O_RDONLY},
    {"read-file-as-folder", SYS_openat, AT_FDCWD, PATH("file"), FOLDER_FLAGS},
    {"write-file", SYS_openat, AT_FDCWD, PATH("file"), O_WRONLY},
    {"make-file", SYS_openat, AT_FDCWD, PATH("new"), O_WRONLY | O_CREAT},
    {"follow-link", SYS_openat, AT_FDCWD, PATH("link"), O_RDONLY | O_DIRECTORY},
    {"write-elsewhere", SYS_write, 2, PATH("x"), 1},
    {"socket", SYS_socket, AF_INET, SOCK_STREAM, 0},
    {"signal", SYS_kill, -1, SIGTERM},
    {"mount", SYS_mount, PATH("/"), PATH("/"), PATH(""), MS_BIND},
    {"execute", SYS_execve, PATH("program"), 0, 0},
    {"memory", SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS},
};

static void try_it(const struct attempt *attempt)
{
    int fd = open(workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || confine_enter(fd, uid, gid) < 0)
        _exit(254);
    long last = attempt->number == SYS_statx ? PATH(buffer) : attempt->d;
    long r = syscall(attempt->number, attempt->a, attempt->b, attempt->c, attempt->d, last, 0);
    _exit(r >= 0 ? 0 : errno);
}

/* The wait status of a process that makes the attempt. */
static int outcome_of(const struct attempt *attempt)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        try_it(attempt);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void tell(const char *name, int status)
{
    if (WIFSIGNALED(status))
        (void)printf("%s %s\n", name, WTERMSIG(status) == SIGSYS ? "SIGSYS" : "another-signal");
    else
        (void)printf("%s %s\n", name,
                     WEXITSTATUS(status) == 0 ? "ok" : strerrorname_np(WEXITSTATUS(status)));
}

static bool is_passed_over(long number)
{
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (number == needed[i])
            return true;
#ifdef __x86_64__
    return number >= PROBE_FIRST && number <= PROBE_LAST;
#else
    return false;
#endif
}

static void try_table(const char *name, long first)
{
    long killed = 0, tried = 0;

    for (long number = 0; number <= LAST_CALL; number++) {
        const struct attempt attempt = {.number = first + number};
        if (first == 0 && is_passed_over(number))
            continue;
        int status = outcome_of(&attempt);
        tried++;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
            killed++;
        else
            tell("one-call", status);
    }
    (void)printf("%s %s\n", name, killed == tried && tried > 1000 ? "SIGSYS" : "not-all");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    uid = (uid_t)strtoul(argv[1], NULL, 10);
    gid = (gid_t)strtoul(argv[2], NULL, 10);
    workspace = argv[3];
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
        tell(attempts[i].name, outcome_of(&attempts[i]));
    try_table("all-calls", 0);
#ifdef __x86_64__
    try_table("all-calls-x32", OTHER_TABLE);
#endif
    return 0;
}
