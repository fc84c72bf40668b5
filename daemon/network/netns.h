/* Network namespaces that are held by a descriptor alone, so that none can outlive the daemon.
 *
 * To make one is the dearest step of a cage (0.4 ms of system time: the kernel registers hundreds
 * of sysctls). So the next cage's is made in advance: one, in which nothing is yet. It is given to
 * one cage, and the next is made when an agent has ended and the loop has nothing else to do. And
 * caged-scan, which never opens a socket, enters one empty namespace that is there from the
 * daemon's start on. */
#pragma once

#include <systemd/sd-event.h>

#include "util.h"

struct netns_stock;

/* A new network namespace, in which nothing is but a loopback that is down: its descriptor (the
 * caller's), or -errno. The calling thread steps into it, and back into `home` at once; if it could
 * not step back it would go on in the wrong namespace: the process ends instead. */
int netns_new(int home);

/* Steps back into `home`, or ends the process. */
void netns_step_home(int home);

/* 0 with a stock, or -errno with *ret_why (the caller's) where it helps. */
int netns_stock_new(sd_event *event, struct netns_stock **ret, char **ret_why);
struct netns_stock *netns_stock_free(struct netns_stock *stock);
DEFINE_CLEANUP(struct netns_stock, netns_stock_free);

/* The empty one (the stock's). */
int netns_stock_empty(const struct netns_stock *stock);

/* One that nobody has or had: the caller's, or -errno. */
int netns_stock_take(struct netns_stock *stock);

/* Has the next one made soon, when the event loop is idle, if there is none. */
void netns_stock_refill(struct netns_stock *stock);
