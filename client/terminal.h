/* The user's terminal lent to an agent (run -t). */
#pragma once

#include "follow.h"

/* Puts the terminal of standard input into raw mode, copies between it and the PTY's master until
 * the agent has ended, and restores the terminal, which also happens at exit(3). Takes `master`.
 * STATUS_OK with the reply of Wait (reply_deinit), or the exit status after telling the user. */
int terminal_session(struct follow *f, int master, struct reply *ret_reply,
                     struct agent *ret_agent);
