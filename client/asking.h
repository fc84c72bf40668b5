/* Telling whoever sits at the terminal that an agent waits for an answer (`run --ask`): a line on
 * standard error for each host, with what to type. */
#pragma once

#include "forwarder.h"

struct asking;

/* Follows the events of the caller's agent of this id from now on: before it is spawned, so that
 * none is missed. STATUS_OK, or the exit status after telling the user. The strings are borrowed.
 * `raw` is for a terminal in raw mode. */
int asking_new(const char *socket, const char *agent_id, unsigned seconds, bool raw,
               struct asking **ret);
struct asking *asking_free(struct asking *asking);
DEFINE_CLEANUP(struct asking, asking_free);

/* Has it served while the forwarder waits; it must outlive the forwarder. */
void asking_attach(struct asking *asking, struct forwarder *forwarder);
