/* Agents as JSON, in the types of io.caged.varlink. New references, NULL without memory. */
#pragma once

#include <jansson.h>

#include "agent/agent.h"

json_t *agent_to_json(const struct agent *agent); /* type Agent */
/* Of an ended one, to an Agent or an Event: the members `planted`... */
void agent_put_planted(const struct agent *agent, json_t *object);
json_t *agent_inspect_to_json(const struct agent *agent); /* reply of Inspect */
json_t *agent_allowed_to_json(const struct agent *agent); /* the patterns that are in force */
json_t *agent_denied_to_json(const struct agent *agent);
json_t *agent_private_to_json(const struct agent *agent);
json_t *agent_line_to_json(const struct ring_entry *entry); /* type LogLine */
