/* The site policy that is in force (policy.json), and how another takes its place.
 *
 *   asked (SIGHUP, ReloadPolicy) --> a thread loads --+--> good: in force from then on
 *                                                     +--> bad: logged, the old one stays
 *
 * There may be none in force: the one at start was bad. Then nobody but root may spawn. A load that
 * is asked for while another is under way comes after it, as that one may have read the file before
 * it was changed. At a swap every agent gets its rule by the new policy, in one turn of the event
 * loop; after that nothing may hold a rule of the old one. */
#pragma once

#include "manager.h"
#include "policy/policy-load.h"
#include "server/peer.h"

struct policy_store;

/* Loads the policy, at once. A bad one is logged and no failure here. From now on SIGHUP, which
 * must be blocked, reloads. `path` is borrowed. 0 or -errno. */
int policy_store_new(struct manager *manager, const char *path, struct policy_store **ret);
struct policy_store *policy_store_free(struct policy_store *store);
DEFINE_CLEANUP(struct policy_store, policy_store_free);

/* What is in force, or NULL: until the event loop has its next turn. */
const struct site_policy *policy_store_get(const struct policy_store *store);

/* The rule for a peer in what is in force, or NULL; good for as long as that. */
const struct policy_rule *policy_store_rule(const struct policy_store *store,
                                            const struct peer *peer);

/* Why policy_store_rule() finds none: a sentence for the peer. Static. */
const char *policy_store_why_none(const struct policy_store *store);

/* Asks for a reload: its number. policy_store_is_done() tells whether its result is there, and the
 * watches are woken when one comes. */
uint64_t policy_store_reload(struct policy_store *store);
bool policy_store_is_done(const struct policy_store *store, uint64_t reload);
struct watch_list *policy_store_watches(struct policy_store *store);

/* The fault of what was loaded last, or NULL if that is in force. */
const struct policy_error *policy_store_error(const struct policy_store *store);
const char *policy_store_path(const struct policy_store *store);
