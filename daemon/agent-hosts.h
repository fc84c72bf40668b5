/* The hosts that an agent may reach: from its card to the gate's sealed configuration
 * (common/gate-proto.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"
#include "card.h"

/* Strings are borrowed from the card or static. */
struct agent_hosts {
    const char *allowed[CARD_HOSTS_MAX];
    size_t n_allowed;
    uint16_t forward_ports[GATE_FORWARDS_MAX]; /* of 127.0.0.1, led into the cage */
    size_t n_forward_ports;
};

/* The hosts that the card allows (the provider's own if it lists none), and those of them that are
 * ports of the host's loopback. 0, or -E2BIG if these are more than GATE_FORWARDS_MAX. */
int agent_hosts_from_card(const struct card *card, struct agent_hosts *ret);

/* A sealed memfd with the configuration, or -errno. */
int agent_hosts_seal(const struct agent_hosts *config, const struct card *card, uint32_t gate_uid);
