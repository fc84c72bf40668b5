/* The hosts of an agent as the daemon tells of them (Hosts), for the verbs that show them. */
#pragma once

#include "connection.h"
#include "options.h"

/* Calls Hosts for the agent that is the first argument: STATUS_OK with a connection and a reply for
 * the caller to free, or the exit status after telling the user. */
int hosts_fetch(const struct options *options, struct connection **ret_connection,
                struct reply *ret);

/* A table of what waits for an answer (HeldHost). 0 or -EPROTO. */
int hosts_print_held(const json_t *held);

/* Prints what Reload or ChangeHosts changed in the lists, a line for each entry, and adds up how
 * many lines there were. 0 or -EPROTO. */
int hosts_print_change(const json_t *parameters, size_t *count);

/* What could not be changed while the agent runs; the same. */
int hosts_print_ignored(const json_t *parameters, size_t *count);

/* Whether the list has exactly this text. */
bool hosts_is_listed(const json_t *list, const char *text);

/* Whether an entry of denied_hosts denies something of what another entry, which names one host,
 * allows. */
bool hosts_entry_covers(const char *denied, const char *entry);
