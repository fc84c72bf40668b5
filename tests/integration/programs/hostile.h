/* A client of cagedd's that wants to harm: what its attacks share. It speaks raw bytes and shares
 * no line with the client library. Each attack prints what it has seen, one line each, for the test
 * to judge, and returns the exit status; a reply that does not come within REPLY_SECONDS ends it.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "util.h"

#define REPLY_SECONDS 60
#define TEXT_MAX 65536

struct target {
    const char *socket; /* of the daemon */
    const char *folder; /* of the user who attacks, to make things in */
    char **arguments;   /* of the attack, up to a NULL */
};

/* Ends the program with a message. */
NORETURN void die(const char *what);

/* A new connection; dies if there is none to be had. */
int wire_connect(const struct target *target);

/* One sendmsg(2): what it returns. */
ssize_t wire_send_fds(int fd, const void *data, size_t size, const int *fds, size_t n_fds);

/* Sends all of it, descriptors with the first byte. False if the daemon ended the connection. */
bool wire_send(int fd, const void *data, size_t size, const int *fds, size_t n_fds);

/* The same for a text and its NUL. */
bool wire_call(int fd, const char *text, const int *fds, size_t n_fds);

/* The next message, as text; false at the end of the connection. Descriptors in it are closed. */
bool wire_receive(int fd, char *buffer, size_t size);

/* The name of the error in a reply ("io.caged.Busy"), or "ok"; in a static buffer. */
const char *wire_error(const char *reply);

/* One call on a connection of its own; its reply's error, "ok", or "ended". */
const char *wire_ask(const struct target *target, const char *text, const int *fds, size_t n_fds);

/* What its error was about, if it said so: "workspace". */
const char *wire_last_what(void);

/* Tells the test that this is the moment, and waits until it says to go on. */
void wait_for_test(const char *word);

/* The attacks. */
int attack_frames(const struct target *target); /* hostile-frames.c */
int attack_flags(const struct target *target);
int attack_bytewise(const struct target *target);
int attack_fields(const struct target *target);      /* hostile-fields.c */
int attack_descriptors(const struct target *target); /* hostile-descriptors.c */
int attack_many(const struct target *target);        /* hostile-floods.c */
int attack_deaf(const struct target *target);
int attack_endless(const struct target *target);
int attack_nuls(const struct target *target);
int attack_queued(const struct target *target);
int attack_spawn(const struct target *target); /* hostile-spawn.c */
int attack_swap(const struct target *target);
