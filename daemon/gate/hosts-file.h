/* The text of /etc/hosts (hosts(5)) as a table. Pure but for allocation: the file is read before
 * the gate loses the file system. Lines that cannot be read are skipped, as libc does. */
#pragma once

#include <stddef.h>

#include "host-pattern.h"
#include "util.h"

struct hosts_table;

/* 0 or -ENOMEM. */
int hosts_table_parse(const char *text, size_t size, struct hosts_table **ret);
struct hosts_table *hosts_table_free(struct hosts_table *table);
DEFINE_CLEANUP(struct hosts_table, hosts_table_free);

/* Copies up to `max` addresses of a canonical name; returns how many. NULL is an empty table. */
size_t hosts_table_find(const struct hosts_table *table, const char *name, struct ip_address *ret,
                        size_t max);
