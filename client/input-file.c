/* A card or a policy as a file that the user named. */
#include "input-file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "exit-status.h"
#include "fd-io.h"
#include "output.h"
#include "text.h"

const char *input_file_name(const char *path)
{
    return streq(path, "-") ? "standard input" : path;
}

/* Whether to open it for reading, and to read it, could wait for ever: for somebody who writes. Not
 * so a pipe without a name, as a shell makes for <(...): that has who writes. */
static bool is_named_fifo(int fd)
{
    struct stat st;
    struct statfs fs;

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && fstatfs(fd, &fs) == 0 &&
           fs.f_type != PIPEFS_MAGIC;
}

/* -ENOTSUP for a FIFO. */
static int read_file(const char *path, size_t max, char **ret, size_t *ret_size)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return negative_errno();
    if (is_named_fifo(fd))
        return -ENOTSUP;
    if (fcntl(fd, F_SETFL, 0) < 0)
        return negative_errno();
    return fd_read_all(fd, max, ret, ret_size);
}

int input_file_read(const char *path, size_t max, char **ret, size_t *ret_size,
                    struct card_error *ret_error)
{
    int r = streq(path, "-") ? fd_read_all(STDIN_FILENO, max, ret, ret_size)
                             : read_file(path, max, ret, ret_size);

    if (r != -EFBIG && r != -ENOTSUP)
        return r == -EINVAL ? -EIO : r;
    *ret_error = (struct card_error){.path = "$"};
    if (r == -ENOTSUP) {
        (void)snprintf(ret_error->found, sizeof(ret_error->found), "a FIFO");
        (void)snprintf(ret_error->expected, sizeof(ret_error->expected),
                       "a regular file, or \"-\" for standard input");
        return -EINVAL;
    }
    (void)snprintf(ret_error->found, sizeof(ret_error->found), "more than %zu bytes", max);
    (void)snprintf(ret_error->expected, sizeof(ret_error->expected), "%zu bytes at most", max);
    return -EINVAL;
}

int input_file_say_ok(const struct options *options, const char *path)
{
    if (option_given(options, OPTION_QUIET))
        return STATUS_OK;
    text_print(stdout, input_file_name(path));
    (void)printf(": ok\n");
    return output_flush();
}
