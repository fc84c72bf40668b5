/* The past of agents, their output or what their gates recorded, read from the journal by
 * journalctl(1) on behalf of a user who has no right to read the journal: systemd's own reader, in
 * a process that has nothing but that right. The daemon itself looks at no entry.
 *
 *   FLUSHING --the journal was sent all that is queued--> SYNCING --journald wrote it--> READING
 *       |                                                    |                             |
 *       +-----------------------history_abandon()------------+-----------------------------+
 *                                                            v
 *                                                ENDED (reaped, reported, freed)
 *
 * Each process has a uid of its own while it reads, so that nobody but root can touch it, and the
 * group of the journal's files; the one that asks journald to write is root without capabilities.
 * What it writes goes straight into a pipe of the client's: how much of that a user may have is
 * the kernel's accounting with that user. */
#pragma once

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "server/history-query.h"

#define HISTORY_PROGRAM "/usr/bin/journalctl"

struct history;
struct manager;

LIST_HEAD(history_list, history);

/* Called once, from the event loop: error is 0 when everything was written; else `why` tells what
 * failed, in words of journalctl(1) where it had any (bytes of any kind, but no NUL). */
typedef void (*history_done)(void *user, int error, const char *why);

/* How many are under way for a user, or for all. */
size_t history_count(const struct manager *manager, const uid_t *uid);

/* What an -errno of history_start() means. */
const char *history_why_not_started(int error);

/* Starts one for `caller`; takes `output`, the writing end of a pipe, in every case. 0 with one
 * that reports later, -EUSERS when there is no uid for it, or another -errno. */
int history_start(struct manager *manager, uid_t caller, const struct history_query *query,
                  int output, history_done done, void *user, struct history **ret);

/* Its user does not want it any more: it is killed, reports nothing, and goes by itself. NULL is
 * fine; returns NULL. */
struct history *history_abandon(struct history *history);

/* At the end of the daemon. */
void history_end_all(struct manager *manager);
