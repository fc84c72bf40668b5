/* The folders that caged itself lives by; the contract stands in the header. */
#include "paths/own-folders.h"

#include "util.h"

void own_folders_deinit(struct own_folders *own)
{
    string_list_deinit(&own->trees);
    string_list_deinit(&own->files);
}

/* What is not there is no folder of ours. */
static int add_real(struct string_list *list, const char *path)
{
    AUTO_FREE char *real = realpath(path, NULL);

    if (!real)
        return errno == ENOMEM ? -ENOMEM : 0;
    return string_list_append(list, real);
}

/* "/x" for "/x/y", "/" for "/y", "." for "y". */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int own_folders_add_tree(struct own_folders *own, const char *path)
{
    return add_real(&own->trees, path);
}

int own_folders_add_file(struct own_folders *own, const char *path)
{
    AUTO_FREE char *folder = folder_of(path);
    AUTO_FREE char *real = realpath(path, NULL);
    int r = folder ? add_real(&own->files, folder) : -ENOMEM;

    if (r < 0 || !real || streq(real, path))
        return r;
    AUTO_FREE char *behind = folder_of(real);
    return behind ? add_real(&own->files, behind) : -ENOMEM;
}
