/* Leaving at each step of a spawn, and folders that change places meanwhile. */
#include "hostile.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* What the child does before it goes, in the order of a spawn. */
enum step {
    STEP_CONNECTED,
    STEP_HALF,        /* half of the request, with its descriptors */
    STEP_ALL_BUT_END, /* all of it but the NUL */
    STEP_SENT,        /* and from here on, some time later */
    STEP_COUNT,
};

static void wait_usec(unsigned usec)
{
    const struct timespec time = {.tv_sec = 0, .tv_nsec = (long)usec * 1000};

    (void)nanosleep(&time, NULL);
}

/* A client that goes as a process goes that is killed; or that closes, and lives on for a moment.
 */
static NORETURN void leave_at(const struct target *target, const char *request, unsigned step,
                              bool killed)
{
    int fd = wire_connect(target);
    int folder = open(target->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t size = strlen(request);

    if (step == STEP_HALF)
        (void)wire_send(fd, request, size / 2, &folder, 1);
    else if (step == STEP_ALL_BUT_END)
        (void)wire_send(fd, request, size, &folder, 1);
    else if (step >= STEP_SENT)
        (void)wire_send(fd, request, size + 1, &folder, 1);
    if (step > STEP_SENT)
        wait_usec((step - STEP_SENT) * 700);
    if (killed)
        (void)raise(SIGKILL);
    fd_close(fd);
    _exit(EXIT_SUCCESS);
}

/* The arguments are requests, in each of which "@" stands for a number that makes its agent's id
 * its own. */
static char *with_number(const char *request, unsigned number)
{
    static char text[TEXT_MAX];
    const char *at = strchr(request, '@');

    if (!at)
        die("a request with a place for a number");
    (void)snprintf(text, sizeof(text), "%.*s%u%s", (int)(at - request), request, number, at + 1);
    return text;
}

int attack_spawn(const struct target *target)
{
    unsigned number = 0;

    for (char **request = target->arguments; *request; request++)
        for (unsigned step = 0; step < STEP_COUNT + 30; step++)
            for (int killed = 0; killed < 2; killed++) {
                const char *text = with_number(*request, ++number);
                pid_t pid = fork();
                int status;
                if (pid == 0)
                    leave_at(target, text, step, killed);
                if (pid < 0 || waitpid(pid, &status, 0) != pid)
                    die("child");
                if (killed ? !WIFSIGNALED(status) : !WIFEXITED(status) || WEXITSTATUS(status) != 0)
                    die("the child did not leave as it should");
            }
    printf("left\t%u\n", number);
    return EXIT_SUCCESS;
}

/* A child exchanges the user's folder with a link to another without pause; the folder is opened by
 * its name each time, sent, and is by then another. Prints what came of each. */
int attack_swap(const struct target *target)
{
    char folder[PATH_MAX], link[PATH_MAX];
    const char *other = target->arguments[0], *request = target->arguments[1];

    if (!other || !request ||
        snprintf(folder, sizeof(folder), "%s/swapped", target->folder) >= (int)sizeof(folder) ||
        snprintf(link, sizeof(link), "%s/link", target->folder) >= (int)sizeof(link))
        die("arguments");
    if (symlink(other, link) < 0)
        die("symlink");
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            (void)renameat2(AT_FDCWD, folder, AT_FDCWD, link, RENAME_EXCHANGE);
    if (pid < 0)
        die("fork");
    for (unsigned i = 0; i < 60; i++) {
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        printf("%s\n", wire_ask(target, with_number(request, i), &fd, fd >= 0));
        fd_close(fd);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return EXIT_SUCCESS;
}
