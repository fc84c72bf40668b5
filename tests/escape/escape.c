/* Tries to get out of a cage, from inside it:
 *
 *     escape --list                 all attempts, their arguments and expected refusals, as JSON
 *     escape NAME [ARGUMENT...]     one attempt
 *     escape --all                  all that need no argument, each in a process of its own
 *
 * Exit status 0 if refused exactly as expected; 1 with a line of explanation if not. */
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "attempts.h"
#include "util.h"

static const struct {
    const struct attempt *attempts;
    const size_t *n;
} groups[] = {
    {file_attempts, &n_file_attempts},
    {mount_attempts, &n_mount_attempts},
    {process_attempts, &n_process_attempts},
    {network_attempts, &n_network_attempts},
};

static bool expects(const int expected[ATTEMPT_ERRORS_MAX], int error)
{
    for (size_t i = 0; i < ATTEMPT_ERRORS_MAX; i++)
        if (error != 0 && expected[i] == error)
            return true;
    return false;
}

static int judge(const char *name, const int expected[ATTEMPT_ERRORS_MAX], int result)
{
    if (result == 0)
        printf("%s: SUCCEEDED, expected %s\n", name, strerrorname_np(expected[0]));
    else if (expects(expected, -result))
        printf("%s: %s\n", name, strerrorname_np(-result));
    else
        printf("%s: %s, expected %s\n", name, strerrorname_np(-result),
               strerrorname_np(expected[0]));
    return expects(expected, -result) ? 0 : 1;
}

/* A clone that works returns twice: the child must not go on. */
static int run_call(const struct call_attempt *attempt)
{
    const long *a = attempt->arguments;
    pid_t self = getpid();
    long r = syscall(attempt->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    int result = r < 0 ? negative_errno() : 0;

    if (getpid() != self)
        _exit(0);
    return judge(attempt->name, attempt->expected, result);
}

static int run_named(const char *name, char **arguments)
{
    for (size_t i = 0; i < n_call_attempts; i++)
        if (streq(call_attempts[i].name, name))
            return run_call(&call_attempts[i]);
    for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
        for (size_t i = 0; i < *groups[g].n; i++) {
            const struct attempt *attempt = &groups[g].attempts[i];
            if (streq(attempt->name, name))
                return judge(name, attempt->expected, attempt->run(arguments));
        }
    }
    printf("%s: there is no such attempt\n", name);
    return 2;
}

static int run_apart(const char *name)
{
    char *none[] = {NULL};
    int status;

    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int r = run_named(name, none);
        (void)fflush(stdout);
        _exit(r);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
        printf("%s: it died\n", name);
        return 1;
    }
    return WEXITSTATUS(status);
}

static int run_all(void)
{
    int failed = 0;

    for (size_t i = 0; i < n_call_attempts; i++)
        failed += run_apart(call_attempts[i].name) != 0;
    for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
        for (size_t i = 0; i < *groups[g].n; i++)
            if (!groups[g].attempts[i].arguments)
                failed += run_apart(groups[g].attempts[i].name) != 0;
    printf("%d not as expected\n", failed);
    return failed > 0 ? 1 : 0;
}

static void list_one(const char *name, const char *arguments, const int *expected, bool first)
{
    printf("%s\n  {\"name\": \"%s\", \"arguments\": \"%s\", \"expected\": [\"%s\"",
           first ? "" : ",", name, arguments ? arguments : "", strerrorname_np(expected[0]));
    if (expected[1])
        printf(", \"%s\"", strerrorname_np(expected[1]));
    printf("]}");
}

static int list(void)
{
    printf("[");
    for (size_t i = 0; i < n_call_attempts; i++)
        list_one(call_attempts[i].name, NULL, call_attempts[i].expected, i == 0);
    for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
        for (size_t i = 0; i < *groups[g].n; i++) {
            const struct attempt *attempt = &groups[g].attempts[i];
            list_one(attempt->name, attempt->arguments, attempt->expected, false);
        }
    printf("\n]\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: escape --list | --all | NAME [ARGUMENT...]\n");
        return 2;
    }
    if (streq(argv[1], "--list"))
        return list();
    if (streq(argv[1], "--all"))
        return run_all();
    return run_named(argv[1], argv + 2);
}
