/* From a card file to a running agent: what `spawn` and `run` share. */
#pragma once

#include "agent.h"
#include "card-file.h"
#include "connection.h"
#include "options.h"

struct spawned {
    struct card_file file;
    struct connection *connection;
    struct reply reply; /* of Spawn */
    struct agent agent; /* points into it */
    int terminal;       /* the PTY's master, with OPTION_TERMINAL; else -EBADF */
};

enum spawn_mode {
    SPAWN_BACKGROUND, /* it lives on without us */
    SPAWN_FOREGROUND, /* it ends when the connection does */
    SPAWN_UNIT,       /* that too, and in the cgroup of our systemd unit; for root */
};

/* Reads options->arguments[0], opens what it names, connects and calls Spawn. STATUS_OK with *ret
 * for spawned_deinit(), or the exit status after telling the user. */
int spawn_agent(const struct options *options, enum spawn_mode mode, struct spawned *ret);

/* The two halves of that: reading the card at `path` into *ret, and all the rest. Both leave
 * *ret for spawned_deinit() whatever they return. */
int spawn_read_card(const char *path, struct spawned *ret);
int spawn_start(const struct options *options, enum spawn_mode mode, struct spawned *spawned);
void spawned_deinit(struct spawned *spawned);
