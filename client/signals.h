/* Names of signals, and signals as a descriptor. */
#pragma once

#include <stddef.h>

/* "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3". 0 or -EINVAL. */
int signal_from_string(const char *text, int *ret);

/* "SIGTERM", or "signal 35" for one without a name. `buffer` may be what is returned. */
const char *signal_to_string(int signal, char *buffer, size_t size);

/* Blocks these signals for the process and returns a signalfd(2) of them (non-blocking), or
 * -errno. */
int signals_open(const int *signals, size_t n_signals);

/* The next signal that is pending on such a descriptor; 0 if there is none, or -errno. */
int signals_read(int fd);
