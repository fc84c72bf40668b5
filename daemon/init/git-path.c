/* Paths by their text alone; the contract stands in the header. */
#include "git-path.h"

#include <limits.h>

#include "util.h"

struct text {
    char bytes[PATH_MAX + 2 * PROTECT_PATH_MAX];
    size_t length;
};

static bool append(struct text *text, const char *bytes, size_t length)
{
    if (text->length + length >= sizeof(text->bytes))
        return false;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
    return true;
}

static bool append_name(struct text *text, const char *name, size_t length)
{
    return append(text, "/", 1) && append(text, name, length);
}

/* One name less; false at the root. */
static bool go_up(struct text *text)
{
    if (text->length == 0)
        return false;
    while (text->bytes[--text->length] != '/')
        ;
    text->bytes[text->length] = '\0';
    return true;
}

/* 1, 0 where ".." leads out of what is known, or -errno. */
static int walk(struct text *text, const char *path, bool is_absolute)
{
    bool behind_name = false;

    while (*path) {
        size_t length = strcspn(path, "/");
        const char *name = path;
        path += length + (path[length] == '/');
        if (length == 0 || (length == 1 && name[0] == '.'))
            continue;
        if (length == 2 && name[0] == '.' && name[1] == '.') {
            if (behind_name)
                return -EINVAL;
            if (!go_up(text) && !is_absolute)
                return 0;
            continue;
        }
        if (!append_name(text, name, length))
            return -ENAMETOOLONG;
        behind_name = true;
    }
    return 1;
}

int git_path_resolve(const char *host, const char *base, const char *path, char *buffer,
                     size_t size)
{
    struct text text = {};
    bool is_absolute = path[0] == '/';
    size_t host_length = strlen(host);
    int r;

    if (is_absolute && host_length == 0)
        return 0;
    if (!is_absolute && !(append(&text, host, host_length) &&
                          (*base == '\0' || append_name(&text, base, strlen(base)))))
        return -ENAMETOOLONG;
    r = walk(&text, path, is_absolute);
    if (r <= 0)
        return r;
    if (!has_prefix(text.bytes, host))
        return 0;
    const char *rest = text.bytes + host_length;
    if (*rest != '/' && *rest != '\0')
        return 0;
    rest += *rest == '/';
    if (strlen(rest) >= size)
        return -ENAMETOOLONG;
    memcpy(buffer, rest, strlen(rest) + 1);
    return 1;
}

bool git_path_is_in(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return length == 0 ||
           (has_prefix(path, folder) && (path[length] == '/' || path[length] == '\0'));
}

const char *git_path_split(const char *path, char parent[PROTECT_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;

    if (length >= PROTECT_PATH_MAX)
        length = 0;
    memcpy(parent, path, length);
    parent[length] = '\0';
    return slash ? slash + 1 : path;
}
