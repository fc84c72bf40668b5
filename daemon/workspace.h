/* What a request's descriptors stand for: the workspace folder, and files with a secret. The
 * descriptor is the proof of access; these checks say whether it is a proof of enough. */
#pragma once

#include <sys/types.h>

#include "peer.h"
#include "util.h"

struct workspace {
    int mount;   /* detached clone of the folder's mount (open_tree(2)) */
    int view;    /* another, read-only, for who looks through it (agent-scan.h) */
    char *path;  /* as the kernel names it, for people to read */
    uid_t owner; /* as whom the agent acts on disk: whose the folder is, or the card's user */
    gid_t group;
    dev_t device;       /* of its file system */
    uid_t folder_owner; /* whose the folder itself is */
    gid_t folder_group;
};

/* Whose an agent's files are to be, where that is not for the folder to say: root's word. */
struct workspace_user {
    uid_t uid;
    gid_t gid;
};

/* A closed, empty one. */
#define WORKSPACE_INIT ((struct workspace){.mount = -EBADF, .view = -EBADF})

/* Checks the folder and clones its mount; `fd` stays the caller's. `user` is NULL, or the card's
 * user, neither id of whom is 0, for a peer that is root. 0, -EPERM or -EINVAL with *ret_why (the
 * caller's) saying what is wrong with it, or another -errno. */
int workspace_take(int fd, const struct peer *peer, const struct workspace_user *user,
                   struct workspace *ret, char **ret_why);
void workspace_deinit(struct workspace *workspace);

/* Opens a path that root named without a descriptor, without following any symbolic link
 * (openat2(2) RESOLVE_NO_SYMLINKS). Returns a descriptor or -errno. */
int workspace_open_for_root(const char *path, int flags);

/* Reads a key from a descriptor: a regular file, one line of printable ASCII, API_KEY_SIZE_MAX at
 * most, white space around it removed. *ret is the caller's: secret_free(). -EINVAL or -EPERM with
 * *ret_why. */
int api_key_read(int fd, char **ret, char **ret_why);

/* The same for user:password of a proxy (RFC 7617): PROXY_AUTH_SIZE_MAX at most, with spaces inside
 * if it has any. */
int proxy_auth_read(int fd, char **ret, char **ret_why);

/* Overwrites and frees. */
char *secret_free(char *secret);
DEFINE_CLEANUP(char, secret_free);
