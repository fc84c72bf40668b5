/* Plain paths; the contract stands in the header. */
#include "plain-path.h"

#include "util.h"

bool plain_path_is_name(const char *name, size_t length)
{
    return length > 0 && !(length == 1 && name[0] == '.') &&
           !(length == 2 && name[0] == '.' && name[1] == '.');
}

size_t plain_path_length(const char *path)
{
    const char *component = path;

    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return 0;
    while (*component == '/') {
        size_t length = strcspn(++component, "/");
        if (length == 0 && *component == '\0' && component - path > 1)
            return (size_t)(component - path) - 1;
        if (!plain_path_is_name(component, length))
            return 0;
        component += length;
    }
    return *component == '\0' ? (size_t)(component - path) : 0;
}

bool plain_path_is_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return has_prefix(path, folder) && (path[length] == '/' || path[length] == '\0');
}
