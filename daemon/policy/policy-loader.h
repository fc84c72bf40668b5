/* A thread that loads the site policy, so that the event loop never waits for a disk, or for a
 * server that knows users and groups. One load at a time. */
#pragma once

#include <systemd/sd-event.h>

#include "policy/policy-load.h"

struct policy_loader;

/* `done` is called from the event loop with what was loaded, and may take the policy out of it. The
 * path is borrowed. 0 or -errno. */
int policy_loader_new(sd_event *event, const char *path,
                      void (*done)(void *user, struct policy_loaded *loaded), void *user,
                      struct policy_loader **ret);

/* A load that hangs still is left to the end of the process. */
struct policy_loader *policy_loader_free(struct policy_loader *loader);
DEFINE_CLEANUP(struct policy_loader, policy_loader_free);

/* 0, or -errno if there is no thread; none may be under way. */
int policy_loader_start(struct policy_loader *loader);
bool policy_loader_is_busy(const struct policy_loader *loader);
