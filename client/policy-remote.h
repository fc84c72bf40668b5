/* The site policy that is in force, asked of the daemon. */
#pragma once

#include "card-file.h"
#include "options.h"
#include "policy-file.h"

/* Has the daemon load its policy anew, and tells what came of it. The exit status. */
int policy_remote_reload(const struct options *options);

/* What the policy makes of a card: of the caller's, or of this user's (NULL: none was named).
 * STATUS_OK with a new reference as ExplainPolicy answers, or the exit status after telling the
 * user. */
int policy_remote_explain(const struct options *options, const struct card_file *card,
                          const struct policy_user *user, json_t **ret);
