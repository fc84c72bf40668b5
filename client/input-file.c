/* A card or a policy as a file that the user named. */
#include "input-file.h"

#include <stdio.h>

#include "exit-status.h"
#include "fd-io.h"
#include "output.h"
#include "text.h"

const char *input_file_name(const char *path)
{
    return streq(path, "-") ? "standard input" : path;
}

int input_file_read(const char *path, size_t max, char **ret, size_t *ret_size,
                    struct card_error *ret_error)
{
    int r = streq(path, "-") ? fd_read_all(STDIN_FILENO, max, ret, ret_size)
                             : file_read_all(path, max, ret, ret_size);

    if (r != -EFBIG)
        return r == -EINVAL ? -EIO : r;
    *ret_error = (struct card_error){.path = "$"};
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
