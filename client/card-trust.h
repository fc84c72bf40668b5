/* Whether a card that root is to follow is root's own word. */
#pragma once

/* The file at `path` and every folder above it, links resolved, must be root's and writable by
 * nobody else: whoever can change the card could choose whose files the agent works on. 0 with the
 * resolved path (the caller's: free), or the exit status after telling the user. */
int card_trust_check(const char *path, char **ret_resolved);
