/* The few socket calls of the gate. All sockets are non-blocking and close-on-exec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host.h"

/* Starts a TCP connection. Returns the socket, or -errno; the result comes when it is writable,
 * unless *ret_connected. */
int net_dial(const struct ip_address *address, uint16_t port, bool *ret_connected);

/* How that ended, or what broke the connection since: 0 or -errno. Tells each error once. */
int net_error(int fd);

/* Closes with a reset instead of an orderly end, so that a cut stream is not taken for a whole
 * one. Takes the descriptor; returns -EBADF. */
int net_reset(int fd);
