/* Names of signals, and signals as a descriptor. */
#include "signals.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "util.h"

static int number_from_string(const char *text, int max, int *ret)
{
    char *end;
    long n;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    n = strtol(text, &end, 10);
    if (*end || n > max)
        return -EINVAL;
    *ret = (int)n;
    return 0;
}

int signal_from_string(const char *text, int *ret)
{
    int n;

    if (number_from_string(text, SIGRTMAX, &n) == 0) {
        if (n < 1)
            return -EINVAL;
        *ret = n;
        return 0;
    }
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    if (strncasecmp(text, "RTMIN+", 6) == 0) {
        if (number_from_string(text + 6, SIGRTMAX - SIGRTMIN, &n) < 0)
            return -EINVAL;
        *ret = SIGRTMIN + n;
        return 0;
    }
    for (n = 1; n < SIGRTMIN; n++) {
        const char *name = sigabbrev_np(n);
        if (name && strcasecmp(name, text) == 0) {
            *ret = n;
            return 0;
        }
    }
    return -EINVAL;
}

const char *signal_to_string(int signal, char *buffer, size_t size)
{
    const char *name = sigabbrev_np(signal);

    if (name)
        (void)snprintf(buffer, size, "SIG%s", name);
    else
        (void)snprintf(buffer, size, "signal %d", signal);
    return buffer;
}

int signals_open(const int *signals, size_t n_signals)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < n_signals; i++)
        (void)sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return negative_errno();
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? negative_errno() : fd;
}

int signals_read(int fd)
{
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof(info));

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : negative_errno();
    return n == (ssize_t)sizeof(info) ? (int)info.ssi_signo : -EIO;
}
