/* One agent from the request to the end: what it is, what it has in the kernel, what became of it.
 *
 *   STARTING --caged-init says STARTED--> RUNNING --stop, ttl--> STOPPING
 *       |                                    |                      |
 *       +------------------------------------+----------------------+--> (last process gone,
 *                                                  gate gone, everything taken down) ENDED
 *
 * agent-spawn.c builds, agent-supervise.c listens to its processes and ends it, agent.c is the
 * object itself and what can be asked of it. */
#pragma once

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "agent/agent-hosts.h"
#include "agent/agent-problem.h"
#include "agent/agent-scan.h"
#include "agent/agent-spec.h"
#include "agent/agent-state.h"
#include "agent/end-reason.h"
#include "agent/held-requests.h"
#include "agent/output.h"
#include "agent/refused-hosts.h"
#include "agent/ring.h"
#include "card.h"
#include "cgroup/cgroup.h"
#include "log.h"
#include "manager.h"
#include "network/airlock.h"
#include "network/gate-supervisor.h"
#include "server/peer-unit.h"
#include "server/peer.h"
#include "server/watch.h"

struct agent {
    TAILQ_ENTRY(agent) entry;
    struct manager *manager;
    struct card *card;
    struct preset *preset; /* NULL: none */
    struct string_list command;
    uid_t owner;
    struct peer peer;                        /* its owner, as the kernel told at spawn */
    const struct policy_rule *rule;          /* for its owner in the policy in force; NULL: none */
    char invocation_id[SD_ID128_STRING_MAX]; /* of this run */
    char *unit;                              /* whose cgroup it is in; NULL: the daemon's own */
    bool terminal;

    enum agent_state state;
    uint64_t spawned_usec, ended_usec; /* CLOCK_REALTIME */
    uint64_t ttl_end_usec;             /* CLOCK_BOOTTIME, 0: none */
    enum end_reason requested;         /* what we did to end it */
    enum end_reason reason;
    bool started; /* the agent's own process came to run */
    bool have_status;
    int status; /* as waitpid(2) gives it */
    struct agent_problem problem;

    /* What it has in the kernel. */
    int slot; /* negative: none */
    struct workspace workspace;
    struct workspace *mounts; /* of the card's mounts, as many and in their order */
    struct cgroup cgroup;
    bool have_cgroup;
    struct airlock_link link;
    bool have_link;
    struct agent_hosts hosts;
    struct host_lists
        live; /* what `hosts` points into since agent_change_hosts(), not the card's */
    bool live_changed;
    struct gate_supervisor *gate;
    struct cgroup gate_cgroup;
    uint64_t gate_oom_kills; /* in it so far */
    pid_t init_pid, agent_pid;
    int init_pidfd, agent_pidfd;
    int control;
    int terminal_master; /* waits to be handed to the one who spawned; negative: none */
    bool init_gone;
    bool gate_gone; /* since the agent's end */
    struct agent_scan scan;

    sd_event_source *control_source, *init_source, *ttl_source, *grace_source, *spawn_source;

    struct log_agent *log;     /* set by the time anything is told about it */
    struct output outputs[2];  /* stdout, stderr */
    struct ring *ring;         /* tag: see output.h */
    bool held;                 /* a foreground client reads: nothing may leave the ring unread */
    uint64_t allowed, refused; /* requests, by its gate */
    uint64_t records;          /* entries about its network */
    struct held_requests held_requests;
    struct refused_hosts refused_hosts;
    uint64_t cut;              /* connections that changes of its hosts have ended */
    struct watch_list watches; /* woken by every change of state and by new output */
};

struct agent_request {
    struct card *card;            /* taken over */
    struct string_list arguments; /* borrowed */
    const struct peer *peer;
    const struct policy_rule *rule; /* of the policy in force, that the card was held against */
    struct workspace *workspace;    /* taken over */
    struct workspace **mounts;      /* taken over; NULL in it without any */
    const char *api_key;            /* borrowed; NULL: none */
    struct peer_unit *unit;         /* to put it into, name taken over; NULL: the daemon's own */
    bool terminal;
    uint16_t terminal_rows, terminal_columns; /* 0: unknown */
    bool foreground;
    uint32_t ask_seconds; /* 0: an unknown host is refused at once */
};

/* Starts to build a cage: 0 with an agent that is STARTING and belongs to the manager; its watches
 * tell what becomes of it. On failure -errno, *ret_problem is filled and nothing is left. */
int agent_spawn(struct manager *manager, struct agent_request *request, struct agent **ret,
                struct agent_problem *ret_problem);

/* Frees an agent that has ended (or was never whole). */
struct agent *agent_free(struct agent *agent);
DEFINE_CLEANUP(struct agent, agent_free);

/* SIGTERM now, everything killed `grace_seconds` later, or when an earlier call said so if that is
 * sooner. The first reason given counts. Nothing to do for one that has ended. */
void agent_stop(struct agent *agent, enum end_reason reason, uint64_t grace_seconds);

/* Kills everything in the cage. */
void agent_kill(struct agent *agent, enum end_reason reason);

/* Sends a signal to the agent's own process. 0, -ESRCH while there is none, or -errno. */
int agent_signal(struct agent *agent, int signal);

/* The output may grow up to here and no further until somebody has read on: for a foreground
 * client. UINT64_MAX ends that. */
void agent_hold_output(struct agent *agent, uint64_t sequence);

/* -- private to agent*.c; manager.c and output.c call the last two -- */

/* An empty one with a fresh invocation id, for agent_free(); NULL without memory. */
struct agent *agent_new(struct manager *manager, uid_t owner);

/* The one setter of `state`: reports it and wakes the watches. */
void agent_set_state(struct agent *agent, enum agent_state state);

/* agent-supervise.c: from now on the event loop listens to its processes, its gate and its control
 * socket, and ends it if it does not start in AGENT_SPAWN_TIMEOUT. 0 or -errno. */
int agent_supervise(struct agent *agent);

/* agent-supervise.c, before agent_supervise(): whether caged-init failed meanwhile, and said at
 * what, which is in `problem` then. */
bool agent_take_early_failure(struct agent *agent);

/* Gives back all that it has in the kernel; what people may still ask about stays. Its processes
 * and its gate are gone. Fine on one that is half made, or released. */
void agent_release(struct agent *agent);

/* Of that, what its network needed: caged-scan may still run. */
void agent_release_network(struct agent *agent);

/* Stops or goes on reading its output and its gate's records, by what the log and a foreground
 * client take: after anything that may change that. */
void agent_update_flow(struct agent *agent);

/* agent-supervise.c: one of its outputs is over, or its last process gone. When both are, the gate
 * is told to end. May free the agent. */
void agent_output_over(struct agent *agent);
