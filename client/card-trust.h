/* Whether a card that root is to follow is root's own word. */
#pragma once

#include "card-file.h"
#include "options.h"

/* The file at `path` and every folder above it, links resolved, must be root's and writable by
 * nobody else: whoever can change the card could choose whose files the agent works on. 0 with the
 * resolved path (the caller's: free), or the exit status after telling the user. */
int card_trust_check(const char *path, char **ret_resolved);

/* STATUS_OK if there is no --id, or the card has it as its agent_id; or the exit status, after a
 * message. */
int card_trust_check_id(const struct options *options, const struct card_file *file);
