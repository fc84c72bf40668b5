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

/* Reads options->arguments[0], opens what it names, connects and calls Spawn. STATUS_OK with *ret
 * for spawned_deinit(), or the exit status after telling the user. */
int spawn_agent(const struct options *options, bool foreground, struct spawned *ret);
void spawned_deinit(struct spawned *spawned);
