/* The folders that a request's descriptors stand for: the workspace, and what else the card mounts.
 * The descriptor is the proof of access; these checks say whether it is a proof of enough. */
#pragma once

#include <sys/types.h>

#include "paths/folder.h"
#include "server/peer.h"
#include "util.h"

/* One such folder. */
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

/* Who asks, and what a folder is held against. All borrowed. */
struct workspace_request {
    const struct peer *peer;
    const struct workspace_user *user; /* NULL, or the card's user, neither id of whom is 0, for a
                                          peer that is root */
    struct folder_rule rule;
};

/* Checks a folder that the agent is to write in, the workspace above all, and clones its mount;
 * `fd` stays the caller's. 0, -EPERM or -EINVAL with *ret_why (the caller's) saying what is wrong
 * with it, or another -errno. */
int workspace_take(int fd, const struct workspace_request *request, struct workspace *ret,
                   char **ret_why);

/* The same for one that it only reads: of anybody, if the peer can list it. The agent acts there as
 * `owner`, and as the folder's group if the peer is in it, else as `group`. */
int workspace_take_readonly(int fd, const struct workspace_request *request, uid_t owner,
                            gid_t group, struct workspace *ret, char **ret_why);

void workspace_deinit(struct workspace *workspace);

/* An array of them on the heap, NULL for none. workspaces_close() closes the mounts alone. */
struct workspace *workspaces_free(struct workspace *workspaces, size_t n); /* NULL */
void workspaces_close(struct workspace *workspaces, size_t n);

/* Opens a path that root named without a descriptor, without following any symbolic link
 * (openat2(2) RESOLVE_NO_SYMLINKS). Returns a descriptor or -errno. */
int workspace_open_for_root(const char *path, int flags);
