/* The messages to cagedd (common/init-spec.h), without allocation: PID 1 stays small. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "failure.h"

/* Each 0 or -errno. Nothing can be sent or received after EXITED or FAILED. */
int message_send_started(int control, const int *fds, size_t n_fds);
int message_send_exited(int control, int wait_status);
int message_send_failed(int control, const struct failure *failure, int error);

/* Waits for GO: 0; -ECONNRESET if the socket ended, -EBADMSG for anything else. */
int message_wait_go(int control);
