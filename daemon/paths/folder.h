/* A folder that a user has sent a descriptor of: what it is, and whether the site policy lets the
 * user's agents have it. Nothing here waits for a program or a server. */
#pragma once

#include <sys/stat.h>

#include "paths/file-system.h"
#include "paths/own-folders.h"
#include "site-policy.h"

struct folder {
    int fd;     /* borrowed */
    char *path; /* as the kernel names it, for people to read */
    struct statx st;
    struct file_system file_system;
};

#define FOLDER_INIT ((struct folder){.fd = -EBADF})

/* What a folder is held against. All borrowed. */
struct folder_rule {
    const struct policy_rule *policy;
    const struct string_list *roots; /* a list of the policy's, and how it is called there */
    const char *roots_name;
    const struct own_folders *own;
};

/* Takes a look at it: 0 with *ret for folder_deinit(), -EPERM or -EINVAL with *ret_why (why.h) for
 * what is no folder that could be had by anybody, or another -errno. */
int folder_look(int fd, struct folder *ret, char **ret_why);
void folder_deinit(struct folder *folder);

/* Whether it may be had: not in a file system that the policy excludes, no system folder, below a
 * root of the policy's (or such a root itself). 0, or -EPERM with *ret_why. */
int folder_hold(const struct folder *folder, const struct folder_rule *rule, char **ret_why);
