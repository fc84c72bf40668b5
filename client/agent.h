/* An agent as the daemon tells of it (type Agent of io.caged), and how its end becomes an exit
 * status and a sentence. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "card.h"

#define AGENT_NONE UINT64_MAX /* a number that the daemon left out */

/* How calls name an agent: two users may use the same id. */
struct agent_name {
    const char *id;     /* borrowed; NULL, where a call has room for that: all of them */
    uint64_t owner_uid; /* AGENT_NONE: the caller's own, or the only one that it sees */
};

/* The parameters of a call about it, for more to be added. New reference, NULL without memory. */
json_t *agent_name_to_json(const struct agent_name *name);

/* All strings are borrowed from the JSON object. */
struct agent {
    const char *id;
    const char *invocation_id; /* NULL: of a daemon that has none */
    const char *unit;          /* NULL: none */
    const char *preset;
    const char *workspace;
    const char *state;
    const char *reason;   /* NULL until it ended */
    const char *detail;   /* NULL: none */
    const char *log_held; /* why the log does not take its entries; NULL: it does */
    uint64_t owner_uid;
    uint64_t pid;
    uint64_t spawned_usec;
    uint64_t ended_usec;
    uint64_t ttl_left;
    uint64_t exit_status;
    uint64_t signal;
};

/* 0, or -EPROTO for what is not an Agent. */
int agent_from_json(const json_t *json, struct agent *ret);
/* The same of the member "agent" of a reply's parameters. */
int agent_from_parameters(const json_t *parameters, struct agent *ret);

/* The exit status that stands for its end: cagectl(1), "Exit status". */
int agent_exit_status(const struct agent *agent);

/* The same for a systemd unit, to which 0 is a planned end: stopped, or its time was over. */
int agent_unit_status(const struct agent *agent);

/* "exit status 3", "out of memory (limit 512 MiB), SIGKILL", ...; `card` may be NULL. */
void agent_end_format(const struct agent *agent, const struct card *card, char *buffer,
                      size_t size);

/* One line on stderr, unless the agent exited by itself. */
void agent_say_end(const struct agent *agent, const struct card *card);
