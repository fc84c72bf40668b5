/* The files of a cgroup. */
#include "cgroup/cgroup-file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "fd-io.h"
#include "util.h"

#define FILE_MAX 65536
#define MIB ((uint64_t)1024 * 1024)

int cgroup_file_write(const char *path, const char *text)
{
    AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? negative_errno() : 0;
}

int cgroup_file_write_in(const char *folder, const char *file, const char *text)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    return cgroup_file_write(path, text);
}

int cgroup_file_write_number(const char *path, uint64_t number)
{
    bool of_v1 = strstr(path, "_in_bytes");
    char text[32];

    if (number == CGROUP_NO_LIMIT)
        (void)snprintf(text, sizeof(text), "%s", of_v1 ? "-1" : "max");
    else
        (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    return cgroup_file_write(path, text);
}

int cgroup_file_read_number(const char *path, uint64_t *ret)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = file_read_all(path, FILE_MAX, &text, &size);

    if (r < 0)
        return r;
    uint64_t number = strtoull(text, NULL, 10);
    bool none = has_prefix(text, "max") || number > (uint64_t)INT64_MAX - MIB;
    *ret = none ? CGROUP_NO_LIMIT : number;
    return 0;
}

void cgroup_file_read_keys(const char *path, const char *const *keys, size_t n_keys, uint64_t *ret)
{
    AUTO_FREE char *text = NULL;
    size_t size;

    memset(ret, 0, n_keys * sizeof(*ret));
    if (file_read_all(path, FILE_MAX, &text, &size) < 0)
        return;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        for (size_t i = 0; i < n_keys; i++) {
            size_t length = strlen(keys[i]);
            if (strncmp(line, keys[i], length) == 0 && line[length] == ' ')
                ret[i] = strtoull(line + length + 1, NULL, 10);
        }
}
