/* A card as a file of the user's: read, checked, and what it names opened as the user. The daemon
 * checks everything again; this is so that errors appear early and with the file's name, and
 * because the descriptors opened here are the proof that this user may use the files. */
#pragma once

#include <jansson.h>

#include "caged-limits.h"
#include "card.h"

struct card_file {
    const char *name; /* as given; "standard input" for "-"; borrowed */
    struct card *card;
    json_t *json; /* the card as it was written, for the wire */
};

/* Reads `path` ("-": standard input) and validates it. 0 with *ret for card_file_deinit(); -EINVAL
 * with *ret_error; another -errno if it cannot be read. */
int card_file_read(const char *path, struct card_file *ret, struct card_error *ret_error);
void card_file_deinit(struct card_file *file);

/* Tells the user of such a failure: "NAME: $.path: found ..., expected ...". The exit status. */
int card_file_say(const char *path, int error, const struct card_error *card_error);

/* What the card names, opened. -EBADF where it names nothing. */
struct card_descriptors {
    int workspace;
    int api_key;
    int proxy_auth;
    int mounts[CARD_MOUNTS_MAX]; /* as many as the card has, in their order */
    size_t n_mounts;
};

/* STATUS_OK with *ret for card_descriptors_close(), or the exit status after telling the user. With
 * `no_links` no symbolic link is followed (openat2(2)): for root, who must not be led elsewhere by
 * the owner of a folder on the way. */
int card_file_open(const struct card_file *file, bool no_links, struct card_descriptors *ret);
void card_descriptors_close(struct card_descriptors *descriptors);
