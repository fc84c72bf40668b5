/* What a client sends and no method gets to see, answered with its reason. */
#pragma once

#include "json-text.h"
#include "server/connection.h"

/* Text that is no JSON object. The next message may be one. */
void connection_refuse_text(struct connection *connection, const struct json_text_error *error);

/* These end the connection when they are sent: a message that is too long; more descriptors than
 * the user may leave unused (client-load.h); a message of another's than who connected, which is in
 * `sender`. What was read is not used any more. */
void connection_refuse_size(struct connection *connection);
void connection_refuse_descriptors(struct connection *connection);
void connection_refuse_sender(struct connection *connection);
