/* What helps against an error of the daemon, where that depends on more than its name. */
#pragma once

#include <jansson.h>

/* For NotPermitted, by what was refused and why, and for Busy, by which limit is reached: a
 * sentence in which {key} stands for the parameter of that name; for SpawnFailed, by the step.
 * Static; NULL: there is nothing to say. */
const char *remote_hint_not_permitted(const json_t *parameters);
const char *remote_hint_busy(const json_t *parameters);
const char *remote_hint_spawn_failed(const json_t *parameters);
