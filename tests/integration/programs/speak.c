/* One call to cagedd by a process that is not quite who it seems to be: made setuid by the tests,
 * or started in namespaces. Prints the reply, or "ended" if the connection is.
 *
 *   speak HOW SOCKET METHOD [PARAMETERS]
 *
 * HOW is one of:
 *   plain     connects and sends with the ids that it was started with
 *   become    the effective ids become the real ones first, as sudo(8) does it
 *   drop      connects, then is the real user alone, as who was given the connection by it is
 *   given     sends by the connection that is its standard input
 *   orphan    a child connects and ends; a child of that one sends, when a line of input comes */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "util.h"

static int fail(const char *what)
{
    perror(what);
    return EXIT_FAILURE;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

static int speak(int fd, const char *method, const char *parameters)
{
    char text[65536];
    size_t got = 0;
    int size = snprintf(text, sizeof(text), "{\"method\":\"%s\",\"parameters\":%s}", method,
                        parameters ? parameters : "{}");

    if (size < 0 || (size_t)size >= sizeof(text))
        return EXIT_FAILURE;
    if (send(fd, text, (size_t)size + 1, MSG_NOSIGNAL) != size + 1)
        return errno == EPIPE || errno == ECONNRESET ? puts("ended") < 0 : fail("send");
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN}; /* it may be one that does not block */
        if (poll(&wait, 1, -1) < 0)
            return fail("poll");
        ssize_t n = read(fd, text + got, sizeof(text) - got);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return puts("ended") < 0;
        if (n < 0)
            return fail("read");
        got += (size_t)n;
        if (memchr(text, 0, got))
            return puts(text) < 0;
    }
}

static int become(uid_t uid, gid_t gid)
{
    return setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ? -1 : 0;
}

/* In the child: connects, and leaves the connection to its own child. */
static NORETURN void connect_and_end(char **argv)
{
    int fd = connect_to(argv[2]);
    char go;

    if (fd < 0)
        _exit(fail("connect"));
    if (fork() != 0)
        _exit(EXIT_SUCCESS);
    if (read(STDIN_FILENO, &go, 1) != 1)
        _exit(fail("read"));
    int status = speak(fd, argv[3], argv[4]);
    (void)fflush(stdout);
    _exit(status);
}

static int leave_orphan(char **argv)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        connect_and_end(argv);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        return fail("child");
    (void)puts("gone");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    int fd = STDIN_FILENO;

    if (argc < 4 || argc > 5)
        return EXIT_FAILURE;
    if (streq(argv[1], "orphan"))
        return leave_orphan(argv);
    if (streq(argv[1], "become") && become(geteuid(), getegid()) < 0)
        return fail("become");
    if (!streq(argv[1], "given") && (fd = connect_to(argv[2])) < 0)
        return fail("connect");
    if (streq(argv[1], "drop") && become(getuid(), getgid()) < 0)
        return fail("drop");
    return speak(fd, argv[3], argc > 4 ? argv[4] : NULL);
}
