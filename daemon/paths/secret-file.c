/* Files with a secret, by descriptor; the contract stands in the header. */
#include "paths/secret-file.h"

#include <sys/stat.h>

#include "caged-limits.h"
#include "paths/file-system.h"
#include "why.h"

char *secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct secret_kind {
    const char *file, *content; /* as errors call them */
    size_t size_max;
    char least; /* the first character that may be in it */
};

/* Whether the `size` bytes are text of this kind: 0, or -EINVAL with *ret_why. */
static int check_secret(const struct secret_kind *kind, const char *text, size_t size,
                        char **ret_why)
{
    if (size > kind->size_max)
        return why_set(ret_why, -EINVAL, "%s is longer than %zu bytes", kind->content,
                       kind->size_max);
    if (size == 0)
        return why_set(ret_why, -EINVAL, "%s is empty", kind->file);
    for (size_t i = 0; i < size; i++)
        if (text[i] < kind->least || text[i] >= 0x7f)
            return why_set(ret_why, -EINVAL, "%s is not one line of printable ASCII", kind->file);
    return 0;
}

static int read_secret(int fd, const struct secret_kind *kind, char **ret, char **ret_why)
{
    char buffer[MAX_OF(API_KEY_SIZE_MAX, PROXY_AUTH_SIZE_MAX) + 2];
    struct file_system file_system;
    struct stat st;

    file_system_find(fd, &file_system);
    int r = file_system_check(&file_system, kind->file, ret_why);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return negative_errno();
    if (!S_ISREG(st.st_mode))
        return why_set(ret_why, -EINVAL, "%s is not a regular file", kind->file);
    ssize_t n = pread(fd, buffer, kind->size_max + 2, 0);
    if (n < 0)
        return why_set(ret_why, -EINVAL, "%s cannot be read: %s", kind->file, strerror(errno));

    size_t start = 0, end = (size_t)n;
    while (start < end && is_space(buffer[start]))
        start++;
    while (end > start && is_space(buffer[end - 1]))
        end--;
    size_t size = (size_t)n > kind->size_max + 1 ? (size_t)n : end - start;
    r = check_secret(kind, buffer + start, size, ret_why);
    if (r == 0 && !(*ret = strndup(buffer + start, size)))
        r = -ENOMEM;
    explicit_bzero(buffer, sizeof(buffer));
    return r;
}

int api_key_read(int fd, char **ret, char **ret_why)
{
    static const struct secret_kind kind = {"the key file", "the key", API_KEY_SIZE_MAX, '!'};

    return read_secret(fd, &kind, ret, ret_why);
}

int proxy_auth_read(int fd, char **ret, char **ret_why)
{
    static const struct secret_kind kind = {
        "the file for the proxy's user", "user:password for the proxy", PROXY_AUTH_SIZE_MAX, ' '};
    CLEANUP(secret_freep) char *text = NULL;
    int r = read_secret(fd, &kind, &text, ret_why);

    if (r < 0)
        return r;
    if (!strchr(text, ':') || text[0] == ':')
        return why_set(ret_why, -EINVAL, "%s does not hold user:password", kind.file);
    *ret = TAKE_PTR(text);
    return 0;
}
