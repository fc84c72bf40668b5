/* The addresses of this host that are globally routable in form: an allowed name that leads to one
 * of them leads to what listens on the host, which a firewall before it may keep from everybody
 * else. Read once, when the gate starts: it can open no netlink socket later. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "host.h"
#include "util.h"

struct own_addresses;

/* The addresses of all interfaces in this network namespace (getifaddrs(3)). 0 or -errno. */
int own_addresses_read(struct own_addresses **ret);

/* The same from a list, for tests. 0 or -ENOMEM. */
int own_addresses_new(const struct ip_address *addresses, size_t n, struct own_addresses **ret);
struct own_addresses *own_addresses_free(struct own_addresses *own);
DEFINE_CLEANUP(struct own_addresses, own_addresses_free);

/* NULL has none. */
bool own_addresses_have(const struct own_addresses *own, const struct ip_address *address);
