/* From a card to the gate's sealed configuration (common/gate-proto.h). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"
#include "card.h"

/* What a gate is told, for Inspect too. Strings are borrowed from the card or static. */
struct gate_config {
    const char *allowed[CARD_HOSTS_MAX];
    size_t n_allowed;
    uint16_t forward_ports[GATE_FORWARDS_MAX]; /* of 127.0.0.1, led into the cage */
    size_t n_forward_ports;
};

/* The hosts that the card allows (the provider's own if it lists none), and those of them that are
 * ports of the host's loopback. 0, or -E2BIG if these are more than GATE_FORWARDS_MAX. */
int gate_config_from_card(const struct card *card, struct gate_config *ret);

/* A sealed memfd with the configuration, or -errno. */
int gate_config_seal(const struct gate_config *config, const struct card *card, uint32_t gate_uid);
