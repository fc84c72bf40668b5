/* The file of the site policy: whose it is, and what is in it. */
#include "policy-read.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "caged-limits.h"
#include "fd-io.h"

int policy_read_refuse(struct policy_error *ret, int error, const char *found, const char *expected)
{
    *ret = (struct policy_error){.line = 0};
    (void)snprintf(ret->at.found, sizeof(ret->at.found), "%s", found);
    (void)snprintf(ret->at.expected, sizeof(ret->at.expected), "%s", expected);
    return error;
}

static int refuse_errno(struct policy_error *ret, int error, const char *expected)
{
    char found[128];

    (void)snprintf(found, sizeof(found), "none that can be read (%s)", strerror(-error));
    return policy_read_refuse(ret, error, error == -ENOENT ? "nothing" : found, expected);
}

/* Whether root alone can write it. In a folder with the sticky bit others can make files, and not
 * rename or remove ours. An access list that lets others write shows in the group's bits (acl(5)).
 */
static int check_owner(const struct stat *st, const char *what, struct policy_error *ret_error)
{
    bool shared = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
    char found[128];

    if (st->st_uid == 0 && (!(st->st_mode & (S_IWGRP | S_IWOTH)) || shared))
        return 0;
    (void)snprintf(found, sizeof(found), "%s of uid %u with mode %04o", what, st->st_uid,
                   st->st_mode & 07777);
    return policy_read_refuse(
        ret_error, -EPERM, found,
        "a file of root's in a folder of root's, both of which nobody else can write: who "
        "can write the policy decides over the host");
}

static int open_folder_of(const char *path, const char **ret_name, struct policy_error *ret_error)
{
    AUTO_FREE char *folder = strdup(path);
    AUTO_FD int fd = -EBADF;
    struct stat st;

    if (!folder)
        return -ENOMEM;
    char *slash = strrchr(folder, '/');
    *ret_name = slash ? path + (slash - folder) + 1 : path;
    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse_errno(ret_error, negative_errno(), "a file");
    int r = check_owner(&st, "a folder", ret_error);
    return r < 0 ? r : TAKE_FD(fd);
}

int policy_read(const char *path, char **ret_text, size_t *ret_size, struct policy_error *ret_error)
{
    const char *name;
    AUTO_FD int folder = open_folder_of(path, &name, ret_error);
    struct stat st;

    if (folder < 0)
        return folder;
    /* O_NONBLOCK: no FIFO holds us up. */
    AUTO_FD int fd =
        openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return policy_read_refuse(ret_error, -ELOOP, "a symbolic link", "the file itself");
    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse_errno(ret_error, negative_errno(), "a file with the site policy");
    if (!S_ISREG(st.st_mode))
        return policy_read_refuse(ret_error, -EINVAL, "something else than a regular file",
                                  "a file with the site policy");
    int r = check_owner(&st, "a file", ret_error);
    if (r < 0)
        return r;
    r = fd_read_all(fd, POLICY_SIZE_MAX, ret_text, ret_size);
    if (r == -EFBIG)
        return policy_read_refuse(ret_error, r, "a file that is too long",
                                  "one of 256 KiB at most");
    return r < 0 ? refuse_errno(ret_error, r, "a file with the site policy") : 0;
}

_Static_assert(POLICY_SIZE_MAX == 256 * 1024, "as the text above has it");
