/* What systemd is told of a service (sd_notify(3), "Standalone Implementations"). By itself, since
 * to load libsystemd and what that needs costs more time than all else that cagectl does. */
#pragma once

#include "util.h"

/* Sends an assignment, or several with a newline between each two, to $NOTIFY_SOCKET. 1 if it was
 * sent, 0 if nobody is to be told, or -errno. */
int notify_send(const char *format, ...) PRINTF_LIKE(1, 2);
