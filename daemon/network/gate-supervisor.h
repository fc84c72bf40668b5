/* One agent's gate, seen from the daemon: it is started by the agent's first connection, its
 * decisions are taken in, its configuration can be replaced, and if it dies the next connection
 * gets a fresh one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "network/gate-messages.h"
#include "util.h"

struct gate_setup {
    sd_event *event;
    uid_t owner;          /* of the agent */
    int executable;       /* borrowed, O_PATH */
    int null;             /* borrowed, /dev/null */
    int config;           /* sealed memfd, taken over even on failure */
    int cgroup_fd;        /* borrowed: as in process.h, where each gate is born */
    const int *tasks_fds; /* borrowed */
    size_t n_tasks_fds;
    const int *listeners; /* borrowed until the gate is freed; the first is the proxy's. The array
                             itself is copied. */
    size_t n_listeners;
    void *user;
    void (*decided)(void *user, const struct gate_decision *decision);
    void (*ended)(void *user, const struct gate_end *end);
    /* A gate died or misbehaved; another will follow, unless it is being stopped. So many requests
     * were allowed whose end it has not told. */
    void (*failed)(void *user, const char *why, uint64_t n_without_end);
    /* Why none can be started now, or NULL: a static sentence. The pointer may be NULL: no reason.
     */
    const char *(*refuse_start)(void *user);
    /* Whether the gate that just was killed was it by the kernel, for want of memory. NULL: unknown
     */
    bool (*ran_out_of_memory)(void *user);
    /* It took an update, and ended so many connections that had been allowed. Its death settles an
     * update as well, and is told by `failed` or `stopped`. */
    void (*updated)(void *user, uint64_t n_ended);
    void (*stopped)(void *user); /* the last word after gate_supervisor_stop() */
};

struct gate_supervisor;

/* 0 or -errno. */
int gate_supervisor_new(const struct gate_setup *setup, struct gate_supervisor **ret);

/* Ends at once, without callbacks; reaps. */
struct gate_supervisor *gate_supervisor_free(struct gate_supervisor *gate);
DEFINE_CLEANUP(struct gate_supervisor, gate_supervisor_free);

/* While held, no decision is taken in, no gate is started, and a running one is sent no update:
 * what an agent does next waits, since a gate lets nothing out before its record is taken
 * (gate-proto.h). What is on its way already may still come. */
void gate_supervisor_hold(struct gate_supervisor *gate, bool held);

/* Lets the gate go in peace: it is told, a hold is over, its last decisions are taken in, then
 * `stopped` is called, from the event loop, a second later at the latest. 0; on -errno `stopped`
 * will not be called, and the gate is to be freed. */
int gate_supervisor_stop(struct gate_supervisor *gate);

/* The pid of the running gate, 0 if none runs. */
pid_t gate_supervisor_pid(const struct gate_supervisor *gate);

/* Replaces the configuration by another sealed memfd, which is taken over. A new gate starts with
 * it; one that runs is sent it (common/gate-proto.h), and killed if it does not take it in
 * GATE_UPDATE_TIMEOUT: so no gate goes on by an old one. Returns the update's number, which counts
 * up from 1. */
uint64_t gate_supervisor_update(struct gate_supervisor *gate, int config);

/* Whether nothing runs any more by a configuration older than that of this update. */
bool gate_supervisor_is_updated(const struct gate_supervisor *gate, uint64_t update);
