/* Starts a helper program (caged-init, caged-gate, journalctl) with exactly the descriptors that
 * its contract names, signals it and reaps it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct process_limit {
    __rlimit_resource_t resource;
    rlim_t maximum;
};

/* For a program that has no part in caged's own steps of giving up privileges: it is started
 * without any, and cannot gain one. */
struct process_drop {
    uid_t uid; /* root too is without a capability then */
    gid_t gid; /* no other group */
    int nice;  /* at least */
    const struct process_limit *limits;
    size_t n_limits;
};

struct process_spec {
    int executable;                  /* opened with O_PATH: what runs is what was opened */
    const char *name;                /* argv[0], the only argument unless there are `arguments` */
    uid_t user;                      /* for whom it is started, whoever it runs as */
    char *const *arguments;          /* all of argv, up to a NULL; or NULL */
    const struct process_drop *drop; /* NULL: it keeps what the daemon has */
    const int *fds;                  /* fds[i] becomes descriptor i; all others are closed */
    size_t n_fds;                    /* up to PROCESS_FDS_MAX */
    uint64_t clone_flags;            /* CLONE_NEW... */
    int netns_fd;                    /* network namespace that it enters, or negative */
    int cgroup_fd;                   /* v2 cgroup to be born into, or negative */
    const int *tasks_fds;            /* `tasks` files of v1 cgroups, or `cgroup.procs` of a v2 one,
                                      * that it joins before it runs */
    size_t n_tasks_fds;              /* up to PROCESS_TASKS_MAX, negative ones are passed over */
};

#define PROCESS_FDS_MAX 32
#define PROCESS_TASKS_MAX 8
#define PROCESS_NOT_STARTED 127 /* the exit status of one that could not be executed */

/* 0 with the pid and a pidfd (the caller's), or -errno; -EBUSY, -EXFULL: start-channel.h. The
 * environment is empty, the signal mask and handlers are the defaults. A failure after the fork
 * shows as exit status 127. */
int process_start(const struct process_spec *spec, pid_t *ret_pid, int *ret_pidfd);

/* What such an -errno means. */
const char *process_why_not_started(int error);

/* 0 or -errno (pidfd_send_signal(2)). */
int process_signal(int pidfd, int signal);

/* Kills a child and waits for its end. A negative descriptor stands for none. */
void process_end(int pidfd);

/* Takes the status of a process that has ended: 1 with *ret_status as waitpid(2) gives it, 0 if it
 * still runs, -errno. */
int process_reap(int pidfd, int *ret_status);
