/* From a card, its preset and its key to the sealed specification that caged-init reads: the
 * command, the environment (only what is listed), the files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/preset.h"
#include "card.h"
#include "network/airlock.h"
#include "paths/workspace.h"
#include "records.h"

/* The command as it will run: the card's, or the preset's (its terminal_command for a terminal
 * without arguments), then the arguments. Caller frees by string_list_deinit. -ENOENT: there is no
 * command; -E2BIG: more than CARD_COMMAND_MAX words; -ENOMEM. */
int agent_command(const struct card *card, const struct preset *preset,
                  const struct string_list *arguments, bool terminal, struct string_list *ret);

struct agent_spec_input {
    const struct card *card;
    const struct preset *preset; /* NULL: none */
    const struct string_list *command;
    const struct workspace *workspace;
    const struct workspace *mounts; /* as many as the card has */
    const char *api_key;            /* NULL: none */
    uint32_t uid_base;
    bool terminal;
    uint16_t terminal_rows, terminal_columns; /* 0: unknown */
    struct in_addr gate_address;
};

/* A sealed memfd with the specification (common/init-spec.h), the caller's, or -errno. */
int agent_spec_new(const struct agent_spec_input *input);
