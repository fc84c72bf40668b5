/* Varlink errors of the daemon: one table from name to exit status, text, and what to do next. */
#pragma once

#include "connection.h"

/* Tells the user about an error reply; returns the exit status. */
int remote_error_say(const struct reply *reply);

/* For those that go on: whether the reply is this error of ours ("NoSuchAgent"). */
bool remote_error_is(const struct reply *reply, const char *name);
