/* A question about the past of agents, and the words in which journalctl(1) is asked it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_ARGUMENTS_MAX 24

enum history_kind {
    HISTORY_OUTPUT,
    HISTORY_NETWORK, /* decisions of gates, and ends of what they allowed */
    HISTORY_REFUSED, /* decisions that refused alone */
    HISTORY_KIND_COUNT,
};

struct history_query {
    enum history_kind kind;
    const char *agent_id;      /* NULL: of every agent */
    int64_t owner;             /* negative: of every owner */
    const char *invocation_id; /* NULL: of every run */
    const char *since, *until; /* NULL: no bound; see history_time_is_sane() */
    int64_t lines;             /* negative: all, as it has to be with a bound */
};

/* Whether a time as a user worded it may be handed to journalctl, which then parses it. */
bool history_time_is_sane(const char *text);

/* What journalctl is started with: NULL behind the last. */
struct history_arguments {
    char *words[HISTORY_ARGUMENTS_MAX + 1];
};

/* Asks for entries that root sent by this very program (systemd.journal-fields(7)), so that nobody
 * else's pass for them. 0 with *ret for history_arguments_deinit(), or -errno. */
int history_arguments_init(struct history_arguments *ret, const struct history_query *query);
void history_arguments_deinit(struct history_arguments *arguments);
