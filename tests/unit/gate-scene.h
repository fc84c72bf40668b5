/* A supervisor (daemon/network/gate-supervisor.h) with a gate that follows a script, a connection
 * that has it start one, and what the daemon hears of it. */
#pragma once

#include "scripted-gate.h"

#include "network/gate-supervisor.h"

#define SCENE_STEPS_MAX 1000
#define SCENE_UPDATES_MAX 128

struct seen {
    unsigned decided, ended;
    uint64_t n_without_end;
    char failures[256]; /* one after the other, each with a ";" */
    bool died, stopped;
    unsigned updated;
    uint64_t n_ended[SCENE_UPDATES_MAX];  /* of each update that was answered */
    uint64_t in_force[SCENE_UPDATES_MAX]; /* the newest update that was, when it was answered */
    const struct gate_supervisor *gate;   /* NULL: not looked at */
    bool client_closed; /* what the agent sees of its connection when the gate has died */
};

/* For the setup of a supervisor whose `user` is such. */
void seen_failed(void *user, const char *why, uint64_t n_without_end);

/* A supervisor, and the connection that will have it start a gate. */
struct scene {
    int listener, client, self, null;
    sd_event *event;
    struct gate_supervisor *gate;
    struct seen *seen;
};

/* Frees the script. */
void scene_begin(struct scene *scene, struct records_writer *script, struct seen *seen);

/* The same, and runs until the gate is ready, as a decision of it tells; the script follows. */
void scene_begin_ready(struct scene *scene, struct records_writer *script, struct seen *seen);

/* One event. */
void scene_step(struct scene *scene);

/* Stops the supervisor, which has to say so, and frees everything. */
void scene_end(struct scene *scene);

/* All of it, until the gate died, or sent so many `decisions` (0: until it died). */
void scene_run(struct records_writer *script, unsigned decisions, struct seen *seen);
