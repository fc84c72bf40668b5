/* An update on its way in (common/gate-proto.h): the parts of a configuration put together, and
 * whether it may follow the one in force. Pure but for allocation; fuzzed. */
#pragma once

#include "gate-config.h"

struct update {
    uint8_t *data; /* NULL: none is under way */
    size_t size;   /* as it was announced */
    size_t received;
};

void update_deinit(struct update *update);

/* Takes one message. 1 with *ret, the whole new configuration; 0 while more is to come; -EBADMSG
 * with *ret_why where the message or the configuration is not what gate-proto.h says; -ENOMEM.
 * After 1 and on failure no update is under way. */
int update_take(struct update *update, const void *message, size_t size, struct gate_config **ret,
                const char **ret_why);

/* NULL if `next` may follow `now`: only their lists of hosts differ. Otherwise what else does. */
const char *update_fault(const struct gate_config *now, const struct gate_config *next);
