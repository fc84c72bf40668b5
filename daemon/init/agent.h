/* The agent's process: forked, dropped and executed. */
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include "failure.h"
#include "spec.h"

struct agent {
    pid_t pid;
    int pidfd;      /* owned */
    int terminal;   /* the PTY's master, owned; -EBADF without a terminal */
    int slave;      /* until the fork; owned */
    int rendezvous; /* owned; to the child, which waits there before it executes the command */
};

#define AGENT_INIT                                                                                 \
    {                                                                                              \
        .pidfd = -EBADF, .terminal = -EBADF, .slave = -EBADF, .rendezvous = -EBADF,                \
    }

void agent_deinit(struct agent *agent);

/* Opens a PTY of the cage's devpts for it: the agent's, group tty. */
int agent_open_terminal(struct agent *agent, const struct init_spec *spec, struct failure *failure);

/* Forks the child. It gives up its privileges and then waits. */
int agent_fork(struct agent *agent, const struct init_spec *spec, int userns_fd,
               const struct sock_fprog *filter, struct failure *failure);

/* Lets it execute the command; by then the caller has no privileges any more either. 0 if the
 * command runs; otherwise why not. */
int agent_release(struct agent *agent, const struct init_spec *spec, struct failure *failure);
