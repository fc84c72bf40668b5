/* The hosts that an agent may reach: from its card to the gate's sealed configuration
 * (common/gate-proto.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/host-lists.h"
#include "caged-limits.h"
#include "card.h"

/* Strings are borrowed from the card or from the agent's live lists, or static. */
struct agent_hosts {
    const char *allowed[CARD_HOSTS_MAX];
    size_t n_allowed;
    const char *denied[CARD_HOSTS_MAX];
    size_t n_denied;
    uint16_t forward_ports[GATE_FORWARDS_MAX]; /* of 127.0.0.1, led into the cage at its start */
    bool forward_listed[GATE_FORWARDS_MAX];    /* and still allowed, and not denied */
    size_t n_forward_ports;
    uint32_t ask_seconds; /* how long the gate holds an unknown host; 0: it refuses it */
};

/* The hosts that the card allows (the provider's own if it lists none), and those of them that are
 * ports of the host's loopback. 0, or -E2BIG if these are more than GATE_FORWARDS_MAX. */
int agent_hosts_from_card(const struct card *card, struct agent_hosts *ret);

/* The same of another card of an agent that runs. `provider` is the one that it runs with. Nothing
 * can be led into the cage any more, so entries that want a new port of the loopback there are left
 * out, and told by their index in the card's list; what is not listed any more is refused, though
 * something still listens for it in the cage. 0 or -errno. */
int agent_hosts_change(const struct agent_hosts *running, const struct card *card,
                       enum api_provider provider, struct agent_hosts *ret,
                       bool ret_left_out[static CARD_HOSTS_MAX]);

/* The same of two lists as they are: an empty one allows nothing. */
int agent_hosts_take(const struct agent_hosts *running, const struct host_lists *lists,
                     struct agent_hosts *ret, bool ret_left_out[static CARD_HOSTS_MAX]);

/* A sealed memfd with the configuration, the caller's, or -errno. `gate_uid` is whom the gate is to
 * become. */
int agent_hosts_seal(const struct agent_hosts *config, const struct card *card, uint32_t gate_uid);
